import { freePort } from './free-port.js';
import { RedisServer, type RedisServerOptions } from './redis-server.js';
import { untilTrue } from './until-true.js';

const SLOTS = 16_384;
/** How long a node must be silent before the others consider it dead: short, for a short failover. */
const NODE_TIMEOUT_MS = 1000;

export interface RedisClusterOptions {
  /** Default 3, the smallest number with a majority after the death of one. */
  masters?: number;
  /** As many as masters (one each) or none, the default. */
  replicas?: number;
  /**
   * Of each node. With `tls` the nodes talk TLS to each other, too, and name their TLS ports to clients that use it.
   */
  node?: Pick<RedisServerOptions, 'tls' | 'args'>;
}

/**
 * A real Redis Cluster of one test. A node is a RedisServer like any other: it can be killed, frozen and queried.
 * Without replicas it is ready about two and a half seconds after `start()`: a new node accepts writes only after that
 * time.
 */
export class RedisCluster {
  /** The nodes that began as masters; `masters[i]` is followed by `replicas[i]`, if there are any. */
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];

  /** Resolves once every node reports the cluster as complete and every replica has its master's data. */
  static async start({ masters = 3, replicas = 0, node = {} }: RedisClusterOptions = {}): Promise<RedisCluster> {
    if (replicas !== 0 && replicas !== masters) {
      throw new RangeError(`replicas must be 0 or ${masters}, got ${replicas}`);
    }
    const started = await Promise.allSettled(Array.from({ length: masters + replicas }, () => startNode(node)));
    const nodes = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = started.find((each) => each.status === 'rejected');
    const cluster = new RedisCluster(nodes.slice(0, masters), nodes.slice(masters));
    try {
      if (failed) {
        throw failed.reason;
      }
      await cluster.#join();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  private constructor(masters: readonly RedisServer[], replicas: readonly RedisServer[]) {
    this.masters = masters;
    this.replicas = replicas;
  }

  get nodes(): readonly RedisServer[] {
    return [...this.masters, ...this.replicas];
  }

  /** The addresses with which a client starts. */
  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ host, port }) => ({ host, port }));
  }

  /** Kills `masters[index]` for the rest of the test; its replica takes over in about two seconds. */
  async killMaster(index: number): Promise<void> {
    await this.masters[index]?.killHard();
  }

  /** Ends every node, frozen ones too. May be called twice. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async #join(): Promise<void> {
    const { masters, replicas, nodes } = this;
    const ids = await Promise.all(nodes.map((node) => node.command('CLUSTER', 'MYID')));
    await Promise.all(
      masters.map(async (master, index) => {
        const [first, end] = [index, index + 1].map((share) => Math.floor((SLOTS * share) / masters.length));
        await master.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
        await master.command('CLUSTER', 'ADDSLOTSRANGE', first!, end! - 1);
      }),
    );
    // Each node is introduced to each other node: with gossip alone it takes seconds until all know all.
    await Promise.all(nodes.map((node) => meetAll(node, nodes)));
    // By their ids: a node whose handshake is not complete has a temporary one.
    await this.#untilNodes((listed) => ids.every((id) => listed.includes(String(id))));
    await Promise.all(replicas.map((replica, index) => replica.command('CLUSTER', 'REPLICATE', String(ids[index]))));
    await Promise.all(nodes.map(isComplete));
    await Promise.all(replicas.map(isFollowing));
    await this.#untilNodes((listed) => listed.split('slave').length - 1 === replicas.length);
  }

  /** Waits until every node lists the cluster as expected. */
  #untilNodes(isTrue: (listed: string) => boolean): Promise<unknown> {
    return Promise.all(
      this.nodes.map((node) => untilTrue(async () => isTrue(String(await node.command('CLUSTER', 'NODES'))))),
    );
  }
}

async function startNode({ tls, args: ownArgs = [] }: Pick<RedisServerOptions, 'tls' | 'args'>): Promise<RedisServer> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS)];
  args.push('--cluster-port', String(await freePort()), '--repl-diskless-sync-delay', '0');
  args.push('--cluster-replica-validity-factor', '0', ...(tls ? ['--tls-cluster', 'yes'] : []), ...ownArgs);
  return RedisServer.start({ args, ...(tls === undefined ? {} : { tls }) });
}

async function meetAll(node: RedisServer, nodes: readonly RedisServer[]): Promise<void> {
  for (const other of nodes.filter((each) => each !== node)) {
    const [, busPort] = (await other.command('CONFIG', 'GET', 'cluster-port')) as string[];
    await node.command('CLUSTER', 'MEET', other.host, other.tlsPort ?? other.port, busPort!);
  }
}

function isComplete(node: RedisServer): Promise<void> {
  return untilTrue(async () => String(await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok'));
}

function isFollowing(replica: RedisServer): Promise<void> {
  return untilTrue(async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'));
}
