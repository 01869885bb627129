import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { dieWithThisProcess } from '../support/child-guard.mjs';
import { freePort } from '../support/free-port.js';
import { until } from './prometheus-server.js';

const MAIN = fileURLToPath(new URL('../../apps/keyword-insights/dist/main.js', import.meta.url));

/** Terms that the demo looks for in its mails. */
const TERMS = 'linux mortgage money free offer server kernel python perl spam mail list click buy order credit'.split(
  ' ',
);

/** Processes of the demo over one Redis, each with an HTTP server. They end with this process. */
export class Demos {
  readonly targets: string[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), 'demos-'));
  private readonly children: ChildProcess[] = [];

  constructor(private readonly redisUrl: string) {}

  /** Resolves when all of them answer. */
  async start(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const port = await freePort();
      const env = { PATH: process.env['PATH'], PORT: String(port), REDIS_URL: this.redisUrl };
      const child = spawn(process.execPath, [MAIN], { cwd: this.folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
      dieWithThisProcess(child);
      this.children.push(child);
      this.targets.push(`127.0.0.1:${port}`);
    }
    await until('the demos', () => this.askAll(0).then(() => true as const, String));
  }

  /** What one process shows to Prometheus. */
  async metrics(): Promise<string> {
    return (await fetch(`http://${this.targets[0]}/metrics`)).text();
  }

  /** Asks each process: for a term that is new, and for one that is known. */
  async askAll(turn: number): Promise<void> {
    const [term, other] = [TERMS[turn % TERMS.length], TERMS[(turn * 7 + 3) % TERMS.length]];
    const isRepeated = turn >= TERMS.length;
    const paths = [
      `/insights/keywords/${term}${isRepeated ? `%20${other}` : ''}`,
      `/insights/trends/${term}`,
      `/insights/domains/lockergnome.com`,
      `/responses/trends/${term}`,
    ];
    for (const path of [...paths, ...paths]) {
      await Promise.all(this.targets.map(async (target) => (await fetch(`http://${target}${path}`)).text()));
    }
  }

  /** Asks all the time. @returns ends it */
  keepAsking(): () => Promise<void> {
    const ended = new AbortController();
    const asking = (async () => {
      for (let turn = 1; !ended.signal.aborted; turn++) {
        await this.askAll(turn).catch(() => {}); // they may be stopped meanwhile
        await sleep(500); // the machine has other work: a scrape must be answered in between
      }
    })();
    return async () => {
      ended.abort();
      await asking;
    };
  }

  async stop(): Promise<void> {
    const running = this.children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    await Promise.all(
      running.map(async (child) => {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
    rmSync(this.folder, { recursive: true, force: true });
  }
}
