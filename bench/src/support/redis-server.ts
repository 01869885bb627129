import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedisServer } from '../../../scripts/find-redis.mjs';
import { dieWithThisProcess } from '../../../test/support/child-guard.mjs';

const HOST = '127.0.0.1';
const START_DEADLINE_MS = 10_000;

/** A redis-server process on a free port of the loopback interface, without persistence. It ends with this process. */
export class RedisServer {
  readonly host = HOST;
  private readonly folder = mkdtempSync(join(tmpdir(), 'cache-bench-redis-'));
  private child: ChildProcess | undefined;

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.launch();
    return server;
  }

  private constructor(readonly port: number) {}

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  /** Starts the server. After `kill` it starts again, empty and on the same port. */
  async launch(): Promise<void> {
    const program = findRedisServer();
    if (program === undefined) {
      throw new Error('no redis-server program found; run `node scripts/ensure-redis.mjs`');
    }
    const args = ['--port', String(this.port), '--bind', this.host, '--save', '', '--appendonly', 'no'];
    const child = spawn(program, [...args, '--dir', this.folder], { stdio: 'ignore', cwd: this.folder });
    this.child = child;
    dieWithThisProcess(child);
    const giveUpAtMs = Date.now() + START_DEADLINE_MS;
    while (!(await this.answers())) {
      if (child.exitCode !== null || Date.now() > giveUpAtMs) {
        throw new Error(`redis-server did not start on port ${this.port}`);
      }
      await delay(10);
    }
  }

  /** Sends SIGKILL and resolves when the process has ended. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
  }

  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async answers(): Promise<boolean> {
    const client = new Redis({ host: this.host, port: this.port, lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => {});
    try {
      await client.connect();
      return (await client.ping()) === 'PONG';
    } catch {
      return false;
    } finally {
      client.disconnect();
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
