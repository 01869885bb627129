import { setTimeout as delay } from 'node:timers/promises';
import type { DistributedCacheOptions } from '../../libs/distributed-cache/src/core/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';
import type { ChaosNode } from './constant-load.js';
import { chaosNode } from './fault-bench.js';
import { LinkSplitter } from './link-splitter.js';

const NODES = ['a', 'b', 'c'];
const USER = 'soak';
const ALL_RIGHTS = ['on', 'nopass', '~*', '&*', '+@all'];
const REPLICATION = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
const SERVER_ARGS = ['--user', USER, ...ALL_RIGHTS, ...REPLICATION];

/**
 * Three nodes over a master and its replica, each with one proxy for its data connection and one for its subscriber.
 */
export class SoakWorld {
  readonly nodes: readonly ChaosNode[];
  #master: RedisServer;
  #replica: RedisServer;

  static async start(options: Pick<DistributedCacheOptions, 'local'> = {}): Promise<SoakWorld> {
    const [master, replica] = await Promise.all([0, 1].map(() => RedisServer.start({ args: SERVER_ARGS })));
    const proxies = await Promise.all(
      NODES.flatMap(() => [FaultProxy.start(master!.port), FaultProxy.start(master!.port)]),
    );
    const splitters = await Promise.all(
      NODES.map((_, index) => LinkSplitter.start(proxies[index * 2]!.port, proxies[index * 2 + 1]!.port)),
    );
    const world = new SoakWorld(master!, replica!, proxies, splitters, options);
    await world.#follow();
    return world;
  }

  private constructor(
    master: RedisServer,
    replica: RedisServer,
    readonly proxies: readonly FaultProxy[],
    readonly splitters: readonly LinkSplitter[],
    options: Pick<DistributedCacheOptions, 'local'>,
  ) {
    this.#master = master;
    this.#replica = replica;
    this.nodes = NODES.map((name, index) =>
      chaosNode(name, { host: '127.0.0.1', port: splitters[index]!.port, username: USER, password: 'any' }, options),
    );
  }

  /** The present master. */
  get server(): RedisServer {
    return this.#master;
  }

  /**
   * The replica takes over without a loss, behind the same addresses. Old connections remain at the old master, now a
   * replica.
   */
  async failOver(): Promise<void> {
    await this.#follow();
    await this.#master.command('FAILOVER', 'TO', this.#replica.host, this.#replica.port, 'TIMEOUT', 2000);
    await untilTrue(async () => String(await this.#replica.command('INFO', 'replication')).includes('role:master'));
    [this.#master, this.#replica] = [this.#replica, this.#master];
    this.proxies.forEach((proxy) => proxy.redirect(this.#master.port));
  }

  /** The permissions of the processes, on both servers; without arguments all of them. */
  async setRights(...rights: readonly string[]): Promise<void> {
    const rules = rights.length > 0 ? rights : ['reset', ...ALL_RIGHTS];
    for (const server of [this.#master, this.#replica]) {
      await server.command('ACL', 'SETUSER', USER, ...rules);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ cache }) => cache.close()));
    // In Node a reset of a socket that is shutting down may never end, and these sockets are not needed any more.
    await Promise.race([Promise.all([...this.splitters, ...this.proxies].map((each) => each.close())), delay(1000)]);
    await Promise.all([this.#master.stop(), this.#replica.stop()]);
  }

  async #follow(): Promise<void> {
    await this.#replica.command('REPLICAOF', this.#master.host, this.#master.port);
    await untilTrue(async () => String(await this.#master.command('INFO', 'replication')).includes('state=online'));
  }
}
