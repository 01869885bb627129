import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findRedisServer } from '../../scripts/find-redis.mjs';
import { dieWithThisProcess } from './child-guard.mjs';
import { freePort } from './free-port.js';
import { RedisServer } from './redis-server.js';
import type { TestCertificates } from './test-certificates.js';
import { untilTrue } from './until-true.js';

const HOST = '127.0.0.1';
/**
 * Short, for a short failover, and longer than a server waits on a busy machine: a server that is silent for this long
 * counts as dead.
 */
const DOWN_AFTER_MS = 800;

export interface RedisSentinelOptions {
  /** From 1, the default, to 3; three take two seconds longer to find each other. */
  sentinels?: number;
  /** The password of the Sentinels themselves, not of the servers. */
  password?: string;
  /** The servers and the Sentinels listen with TLS as well. */
  tls?: TestCertificates;
}

/** A master, its replica and the Sentinels that watch them, all real and gone with the test. */
export class RedisSentinel {
  /** The name of the master in the Sentinels. */
  readonly name = 'main';
  /** The two servers, by their initial roles. */
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly #sentinels: SentinelProcess[] = [];

  /** Resolves once the replica has the master's data and the Sentinels know both servers and each other. */
  static async start({ sentinels = 1, password, tls }: RedisSentinelOptions = {}): Promise<RedisSentinel> {
    const args = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
    const options = { args, ...(tls === undefined ? {} : { tls }) };
    const master = await RedisServer.start(options);
    const replica = await RedisServer.start(options);
    const group = new RedisSentinel(master, replica);
    try {
      await replica.command('REPLICAOF', HOST, master.port);
      // A Sentinel reads the replicas of a master when it starts, and then every ten seconds only.
      await untilTrue(async () => String(await master.command('INFO', 'replication')).includes('state=online'));
      for (let index = 0; index < sentinels; index++) {
        const quorum = Math.floor(sentinels / 2) + 1;
        group.#sentinels.push(await SentinelProcess.start(group.name, master.port, quorum, { password, tls }));
      }
      await Promise.all(group.#sentinels.map((each) => each.untilItKnows(group.name, sentinels)));
      return group;
    } catch (error) {
      await group.stop();
      throw error;
    }
  }

  private constructor(master: RedisServer, replica: RedisServer) {
    this.master = master;
    this.replica = replica;
  }

  /** The addresses with which a client starts. */
  get addresses(): { host: string; port: number }[] {
    return this.#sentinels.map(({ port }) => ({ host: HOST, port }));
  }

  /** As {@link addresses}, with TLS; meaningless without the option `tls`. */
  get tlsAddresses(): { host: string; port: number }[] {
    return this.#sentinels.map(({ tlsPort }) => ({ host: HOST, port: tlsPort }));
  }

  /** Kills the first master for the rest of the test; the replica takes over in two to three seconds. */
  async killMaster(): Promise<void> {
    await this.master.killHard();
  }

  /** The port of the present master, according to the Sentinels. */
  async masterPort(): Promise<number> {
    const answer = await this.#sentinels[0]?.call('GET-MASTER-ADDR-BY-NAME', this.name);
    return Number((answer as string[])[1]);
  }

  /** Ends all processes, frozen ones too. May be called twice. */
  async stop(): Promise<void> {
    await Promise.all(this.#sentinels.map((each) => each.stop()));
    await Promise.all([this.master.stop(), this.replica.stop()]);
  }
}

/** A Sentinel needs a configuration file, into which it writes its state. */
class SentinelProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'redis-sentinel-'));
  readonly #child: ChildProcess;

  static async start(
    name: string,
    masterPort: number,
    quorum: number,
    { password, tls }: Pick<RedisSentinelOptions, 'password' | 'tls'>,
  ): Promise<SentinelProcess> {
    const program = findRedisServer();
    if (!program) {
      throw new Error('no redis-server program found; run `node scripts/ensure-redis.mjs`');
    }
    const tlsPort = tls === undefined ? 0 : await freePort();
    const sentinel = new SentinelProcess(program, await freePort(), tlsPort, password, [
      ...(password === undefined ? [] : [`requirepass ${password}`, `sentinel sentinel-pass ${password}`]),
      ...(tls === undefined ? [] : tlsLines(tlsPort, tls)),
      `sentinel monitor ${name} ${HOST} ${masterPort} ${quorum}`,
      `sentinel down-after-milliseconds ${name} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${name} 3000`,
    ]);
    await untilTrue(() =>
      sentinel.call('MYID').then(
        () => true,
        () => false,
      ),
    );
    return sentinel;
  }

  private constructor(
    program: string,
    readonly port: number,
    readonly tlsPort: number,
    private readonly password: string | undefined,
    lines: readonly string[],
  ) {
    const file = join(this.#folder, 'sentinel.conf');
    writeFileSync(file, [`port ${port}`, `bind ${HOST}`, `dir ${this.#folder}`, ...lines, ''].join('\n'));
    this.#child = spawn(program, [file, '--sentinel'], { stdio: 'ignore', cwd: this.#folder });
    dieWithThisProcess(this.#child);
  }

  async call(...args: string[]): Promise<unknown> {
    const client = new Redis({
      host: HOST,
      port: this.port,
      ...(this.password === undefined ? {} : { password: this.password }),
      lazyConnect: true,
      retryStrategy: () => null,
    });
    client.on('error', () => {}); // `connect` reports it
    try {
      await client.connect();
      return await client.call('SENTINEL', ...args);
    } finally {
      client.disconnect();
    }
  }

  untilItKnows(name: string, sentinels: number): Promise<void> {
    return untilTrue(async () => {
      const [replicas, others] = (await Promise.all([
        this.call('REPLICAS', name),
        this.call('SENTINELS', name),
      ])) as string[][][];
      const isUsable = replicas?.[0]?.join(' ').includes('master-link-status ok') === true;
      return isUsable && others?.length === sentinels - 1;
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function tlsLines(port: number, { caFile, certFile, keyFile }: TestCertificates): string[] {
  const files = [`tls-ca-cert-file ${caFile}`, `tls-cert-file ${certFile}`, `tls-key-file ${keyFile}`];
  return [`tls-port ${port}`, 'tls-auth-clients no', ...files];
}
