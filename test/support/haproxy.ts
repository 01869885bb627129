import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findHaproxy } from '../../scripts/find-redis.mjs';
import { dieWithThisProcess } from './child-guard.mjs';
import { freePort } from './free-port.js';
import { untilTrue } from './until-true.js';

/** A real HAProxy in TCP mode: one address before several servers, one of which takes the new connections. */
export class Haproxy {
  readonly host = '127.0.0.1';
  readonly #folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
  readonly #child: ChildProcess;

  /** Whether the program is installed. In CI its absence is an error: see scripts/ensure-redis.mjs. */
  static get isThere(): boolean {
    return findHaproxy() !== undefined;
  }

  /** Resolves once it forwards new connections to the first of the servers. */
  static async start(servers: readonly { readonly port: number }[]): Promise<Haproxy> {
    const proxy = new Haproxy(await freePort(), servers);
    try {
      await untilTrue(() =>
        proxy.#tell('show info').then(
          () => true,
          () => false,
        ),
      );
      await proxy.sendNewTo(0);
      return proxy;
    } catch (error) {
      await proxy.stop();
      throw error;
    }
  }

  private constructor(
    readonly port: number,
    private readonly servers: readonly { readonly port: number }[],
  ) {
    const config = join(this.#folder, 'haproxy.cfg');
    const lines = [
      'global',
      `  stats socket ${this.#socket} level admin`,
      'defaults',
      '  mode tcp',
      '  timeout connect 1s',
      '  timeout client 1h',
      '  timeout server 1h',
      'listen redis',
      `  bind 127.0.0.1:${port}`,
      ...servers.map((server, index) => `  server redis${index} 127.0.0.1:${server.port} disabled`),
      '',
    ];
    writeFileSync(config, lines.join('\n'));
    this.#child = spawn(findHaproxy() ?? 'haproxy', ['-db', '-f', config], { stdio: 'ignore' });
    this.#child.on('error', () => {}); // a failed start shows as an admin socket that never opens
    dieWithThisProcess(this.#child);
  }

  /** From now on new connections reach this server; open ones keep theirs. */
  async sendNewTo(chosen: number): Promise<void> {
    for (const index of this.servers.keys()) {
      await this.#tell(`set server redis/redis${index} state ${index === chosen ? 'ready' : 'maint'}`);
    }
  }

  async stop(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #socket(): string {
    return join(this.#folder, 'admin.sock');
  }

  async #tell(command: string): Promise<void> {
    const socket = createConnection(this.#socket);
    socket.end(`${command}\n`);
    socket.resume();
    await once(socket, 'close');
  }
}
