import { Agent, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const TIMEOUT_MS = 10_000;

export interface HttpLoadOptions {
  /** The fields of each request. Default: none but those of node:http. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The status that each answer must have. Default 200. */
  readonly status?: number;
}

/** Sends requests over a few keep-alive connections, one at a time per connection. @throws if a status is another one */
export class HttpLoad {
  private readonly agent: Agent;

  constructor(
    private readonly port: number,
    private readonly connections: number,
    private readonly options: HttpLoadOptions = {},
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** Requests the paths in order, without a pause. */
  async run(paths: readonly string[]): Promise<void> {
    let next = 0;
    const client = async () => {
      for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
        await this.request(path);
      }
    };
    await Promise.all(Array.from({ length: this.connections }, client));
  }

  /** Sends requests at even intervals, whether or not earlier ones are answered, so a slow server gets the same load. */
  async runSteadily(paths: readonly string[], perSecond: number): Promise<void> {
    const startedAtMs = performance.now();
    await Promise.all(
      paths.map(async (path, at) => {
        await wait(startedAtMs + (at * 1000) / perSecond - performance.now());
        await this.request(path);
      }),
    );
  }

  close(): void {
    this.agent.destroy();
  }

  private async request(path: string): Promise<void> {
    const { headers = {}, status = 200 } = this.options;
    await new Promise<void>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.port, path, agent: this.agent, headers, timeout: TIMEOUT_MS };
      const request = get(options, (response) => {
        response.resume();
        response.once('end', () =>
          response.statusCode === status ? resolve() : reject(new Error(`${path} answered ${response.statusCode}`)),
        );
      });
      request.once('timeout', () => request.destroy(new Error(`${path}: no answer in ${TIMEOUT_MS} ms`)));
      request.once('error', reject);
    });
  }
}
