import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedisServer } from '../../scripts/find-redis.mjs';
import { dieWithThisProcess } from './child-guard.mjs';
import { freePort } from './free-port.js';
import { makeTestCertificates, type TestCertificates } from './test-certificates.js';

const START_DEADLINE_MS = 15_000;

export interface RedisServerOptions {
  /** Default: a free port of 127.0.0.1. */
  port?: number;
  /** Listens on a Unix socket too: `socketPath`. */
  unixSocket?: boolean;
  /**
   * Listens with TLS too: `tlsPort`, checked against `caFile`. `true` makes certificates, with the `openssl` program.
   */
  tls?: boolean | TestCertificates;
  /** Sets `requirepass`. */
  password?: string;
  /** More arguments of redis-server, for instance `['--maxmemory', '2mb']`. */
  args?: readonly string[];
}

/** A real redis-server of one test: no persistence, loopback only, ended with the test process. */
export class RedisServer {
  readonly host = '127.0.0.1';
  readonly #folder = mkdtempSync(join(tmpdir(), 'redis-server-'));
  readonly #options: RedisServerOptions;
  readonly #tlsArgs: readonly string[] = [];
  #child: ChildProcess | undefined;
  #port = 0;

  readonly socketPath: string | undefined;
  /** `undefined` without `tls: true`. */
  readonly tlsPort: number | undefined;
  readonly caFile: string | undefined;
  /** The password of `command()`. Assign it after a `CONFIG SET requirepass`. */
  password: string | undefined;

  /** Resolves once the server answers commands. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(options, options.tls ? await freePort() : undefined);
    try {
      await server.#launchOnAPort();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private constructor(options: RedisServerOptions, tlsPort: number | undefined) {
    this.#options = options;
    this.password = options.password;
    this.socketPath = options.unixSocket ? join(this.#folder, 'redis.sock') : undefined;
    if (tlsPort !== undefined) {
      const given = options.tls;
      const { caFile, certFile, keyFile } = typeof given === 'object' ? given : makeTestCertificates(this.#folder);
      this.tlsPort = tlsPort;
      this.caFile = caFile;
      this.#tlsArgs = ['--tls-port', String(tlsPort), '--tls-cert-file', certFile, '--tls-key-file', keyFile];
      this.#tlsArgs = [...this.#tlsArgs, '--tls-ca-cert-file', caFile, '--tls-auth-clients', 'no'];
    }
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const login = this.password === undefined ? '' : `:${encodeURIComponent(this.password)}@`;
    return `redis://${login}${this.host}:${this.port}`;
  }

  /** Process id, also of the last process after its end. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * `kill -9`: clients see their connection end, later connections are refused. Resolves when the process has ended.
   */
  async killHard(): Promise<void> {
    const child = this.#child;
    if (child && this.isRunning) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL'); // ends a frozen process too
      await exited;
    }
  }

  /** Starts again on the same ports, empty or with the saved data. A running server is killed first. */
  async restart({ fromSnapshot = false } = {}): Promise<void> {
    await this.killHard();
    this.password = this.#options.password;
    if (!fromSnapshot) {
      rmSync(join(this.#folder, 'dump.rdb'), { force: true }); // a replica saves a file on its own
    }
    await this.#launch();
  }

  /** Stops the process with SIGSTOP: connections stay open and are still accepted, and no command is answered. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Ends the process, frozen or not, and removes its folder. May be called twice. */
  async stop(): Promise<void> {
    await this.killHard();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * Sends one command over a connection of its own, for instance `command('CONFIG', 'SET', 'maxmemory', '1mb')`.
   * @throws the server's error, or an error after 5 s without an answer (a frozen server)
   */
  async command(name: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    const client = new Redis({
      host: this.host,
      port: this.port,
      ...(this.password === undefined ? {} : { password: this.password }),
      lazyConnect: true,
      connectTimeout: 5_000,
      commandTimeout: 5_000,
      retryStrategy: () => null,
      // An INFO before the first command would also fail where the test has renamed or forbidden it.
      enableReadyCheck: false,
    });
    let connectionError: unknown;
    client.on('error', (error) => (connectionError = error));
    try {
      await client.connect();
      return await client.call(name, ...args);
    } catch (error) {
      // "Connection is closed." says less than the earlier reason.
      throw connectionError ?? error;
    } finally {
      client.disconnect();
    }
  }

  async #launchOnAPort(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      this.#port = this.#options.port ?? (await freePort());
      try {
        return await this.#launch();
      } catch (error) {
        // Another process may have taken the port between the check and the start.
        const wasTaken = error instanceof Error && error.message.includes('Address already in use');
        if (!wasTaken || this.#options.port !== undefined || attempt === 5) {
          throw error;
        }
      }
    }
  }

  async #launch(): Promise<void> {
    const program = findRedisServer();
    if (!program) {
      throw new Error('no redis-server program found; run `node scripts/ensure-redis.mjs`');
    }
    const child = spawn(program, this.#args(), { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.#folder });
    this.#child = child;
    dieWithThisProcess(child);
    let output = '';
    const keepOutput = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000));
    child.stdout.on('data', keepOutput);
    child.stderr.on('data', keepOutput);
    let failure: unknown;
    child.once('error', (error) => (failure = error));
    const closed = once(child, 'close').catch(() => {}); // only then has all of its output been read
    const giveUpAtMs = Date.now() + START_DEADLINE_MS;
    while (!(await this.#answersAs(child))) {
      if (failure || !this.isRunning || Date.now() > giveUpAtMs) {
        await this.killHard();
        await (failure === undefined ? closed : undefined);
        throw new Error(`redis-server did not start on port ${this.#port}\n${output}`, { cause: failure });
      }
      await delay(20);
    }
  }

  /** Whether this child answers, and not another program that has taken the port. */
  async #answersAs(child: ChildProcess): Promise<boolean> {
    try {
      return String(await this.command('INFO', 'server')).includes(`process_id:${child.pid}\r`);
    } catch {
      return false;
    }
  }

  #args(): string[] {
    const args = ['--port', String(this.#port), '--bind', this.host, '--save', '', '--appendonly', 'no'];
    args.push('--dir', this.#folder, '--daemonize', 'no');
    if (this.socketPath) {
      args.push('--unixsocket', this.socketPath);
    }
    if (this.#options.password !== undefined) {
      args.push('--requirepass', this.#options.password);
    }
    return [...args, ...this.#tlsArgs, ...(this.#options.args ?? [])];
  }
}
