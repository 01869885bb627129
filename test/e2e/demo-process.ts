import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onTestFinished, vi } from 'vitest';
import { dieWithThisProcess } from '../support/child-guard.mjs';
import { freePort } from '../support/free-port.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'apps/keyword-insights/dist/main.js');
const READY = 'Keyword Insights is ready';

const ENTRY = join(ROOT, 'libs/distributed-cache/dist/entry/index.js');

/**
 * Builds the demo anew where its sources have changed; `npm test` has built it before.
 * @throws Error if the entry of the package is missing, which `npm run build` writes
 */
export async function buildDemo(): Promise<void> {
  const projects = ['libs/distributed-cache', 'apps/keyword-insights'].map((name) => `${name}/tsconfig.build.json`);
  const compiler = join(ROOT, 'node_modules/@typescript/native/bin/tsc');
  try {
    await promisify(execFile)(process.execPath, [compiler, '-b', ...projects], { cwd: ROOT });
  } catch (error) {
    // The compiler writes its errors to the standard output.
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    throw new Error(`The demo can't be built.\n${said}`, { cause: error });
  }
  if (!existsSync(ENTRY)) {
    throw new Error(`${ENTRY} is missing: run \`npm run build\` first`);
  }
}

/** The demo as `npm start` runs it: a process of its own, which ends with its test. */
export class DemoProcess {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;

  /** @param variables its environment, besides the PATH; no setting of this machine reaches it */
  static async start(variables: Record<string, string>): Promise<DemoProcess> {
    const port = variables['PORT'] ?? String(await freePort());
    return new DemoProcess(port, { PATH: process.env['PATH'] ?? '', NO_COLOR: '1', ...variables, PORT: port });
  }

  private constructor(
    readonly port: string,
    environment: Record<string, string>,
  ) {
    // A folder of its own: otherwise a .env in the repository would be read.
    const folder = mkdtempSync(join(tmpdir(), 'demo-'));
    this.child = spawn(process.execPath, [MAIN], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    dieWithThisProcess(this.child);
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    const closed = once(this.child, 'close');
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await closed;
      rmSync(folder, { recursive: true });
    });
  }

  /** The lines for users so far. */
  get greetings(): string[] {
    return this.stdout.split('\n').filter((line) => line.includes(READY));
  }

  /** The lines below the greeting: where an operator looks, by name. */
  get places(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.stdout.matchAll(/^ {2}([A-Z][\w ]+): +(.+)$/gm)].map(([, name, place]) => [name, place]),
    );
  }

  async untilReady(): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.greetings.length === 0) {
          throw new Error(`not ready:\n${this.stdout}${this.stderr}`);
        }
      },
      { timeout: 50_000, interval: 20 },
    );
  }

  stop(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The way it ended: its exit code, or the signal that ended it. Waits for its last output, too. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      await once(this.child, 'close');
    }
    return this.child.exitCode ?? this.child.signalCode;
  }

  /** One request over a connection of its own, as curl makes it. */
  async ask(
    path: string,
    { method = 'GET', headers = {} }: RequestOptions = {},
  ): Promise<{ status: number | undefined; cacheStatus: unknown; body: string }> {
    const sent = request({ host: '127.0.0.1', port: this.port, path, method, headers, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of response) {
      body += String(chunk);
    }
    return { status: response.statusCode, cacheStatus: response.headers['cache-status'], body };
  }
}
