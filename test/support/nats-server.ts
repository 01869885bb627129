import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNats } from '../../scripts/find-redis.mjs';
import { dieWithThisProcess } from './child-guard.mjs';
import { freePort } from './free-port.js';
import { untilTrue } from './until-true.js';

/** A real NATS server with JetStream, in files of its own; loopback only. */
export class NatsServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'nats-server-'));
  #child: ChildProcess | undefined;

  /** Whether the program is installed. In CI its absence is an error: see scripts/ensure-redis.mjs. */
  static get isThere(): boolean {
    return findNats() !== undefined;
  }

  /** Resolves once the server answers. */
  static async start(): Promise<NatsServer> {
    const server = new NatsServer(await freePort());
    await server.restart();
    return server;
  }

  private constructor(readonly port: number) {}

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** `kill -9`. What it has acknowledged is in its files. */
  async killHard(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
  }

  /** Starts it, again if it has run. @param options.isEmptied without what it had */
  async restart({ isEmptied = false } = {}): Promise<void> {
    await this.killHard();
    if (isEmptied) {
      rmSync(join(this.#folder, 'jetstream'), { recursive: true, force: true });
    }
    const args = ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', this.#folder];
    this.#child = spawn(findNats() ?? 'nats-server', args, { stdio: 'ignore' });
    dieWithThisProcess(this.#child);
    await untilTrue(() => this.#greets());
  }

  async stop(): Promise<void> {
    await this.killHard();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #greets(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: this.port });
      const end = (isThere: boolean): void => {
        socket.destroy();
        resolve(isThere);
      };
      socket.once('data', () => end(true));
      socket.once('error', () => end(false));
    });
  }
}
