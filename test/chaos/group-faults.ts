import { Redis } from 'ioredis';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { untilTrue } from '../support/until-true.js';
import { chaosNode, type Fault, type FaultBench } from './fault-bench.js';

const NODE_NAMES = ['a', 'b'];

function sentinelFault(name: string, begin: (group: RedisSentinel) => Promise<void> | void): Fault {
  return {
    name,
    lastsMs: 0,
    separates: true,
    mayLoseWrites: true,
    prepare: async (): Promise<FaultBench> => {
      const group = await RedisSentinel.start();
      return {
        nodes: NODE_NAMES.map((each) => chaosNode(each, { sentinels: group.addresses, name: group.name })),
        begin: () => begin(group),
        heal: () => untilTrue(async () => (await group.masterPort()) !== group.master.port),
        stop: () => group.stop(),
      };
    },
  };
}

function clusterFault(name: string, begin: (cluster: RedisCluster) => Promise<void> | void): Fault {
  return {
    name,
    lastsMs: 0,
    separates: true,
    mayLoseWrites: true,
    prepare: async (): Promise<FaultBench> => {
      const cluster = await RedisCluster.start({ masters: 3, replicas: 3 });
      const slotOf = await slotsOf(cluster, allKeys());
      const isFirst = (key: string): boolean => (slotOf.get(key) ?? 0) < Math.floor(16_384 / 3);
      return {
        nodes: NODE_NAMES.map((each) => chaosNode(each, { cluster: { nodes: cluster.addresses } })),
        keys: HOT_KEYS,
        concerns: isFirst,
        begin: () => begin(cluster),
        heal: () =>
          untilTrue(async () =>
            String(await cluster.replicas[0]!.command('INFO', 'replication')).includes('role:master'),
          ),
        stop: () => cluster.stop(),
      };
    },
  };
}

const HOT_KEYS = Array.from({ length: 40 }, (_, index) => `key:${index}`);
const MOST_TICKS = 2000;

/** Every key that the load may use. */
function allKeys(): string[] {
  const cold = HOT_KEYS.flatMap((key) => Array.from({ length: MOST_TICKS / 2 }, (_, index) => `${key}:a:${index * 2}`));
  return [...HOT_KEYS, ...cold];
}

async function slotsOf(cluster: RedisCluster, keys: readonly string[]): Promise<Map<string, number>> {
  const [{ host, port }] = cluster.masters as [RedisCluster['masters'][number]];
  const client = new Redis({ host, port });
  try {
    const pipeline = client.pipeline();
    keys.forEach((key) => pipeline.call('CLUSTER', 'KEYSLOT', `chaos:versions:${key}`));
    const answers = (await pipeline.exec()) ?? [];
    return new Map(keys.map((key, index) => [key, Number(answers[index]?.[1])]));
  } finally {
    client.disconnect();
  }
}

export const groupFaults: readonly Fault[] = [
  sentinelFault('Sentinel: master killed', (group) => group.killMaster()),
  sentinelFault('Sentinel: master frozen', (group) => group.master.freeze()),
  clusterFault('Cluster: master killed', (cluster) => cluster.killMaster(0)),
  clusterFault('Cluster: master frozen', (cluster) => cluster.masters[0]!.freeze()),
];
