import {
  CacheConfig,
  DistributedCache,
  type AsyncCache,
  type DistributedCacheOptions,
  type RedisOption,
} from '../../libs/distributed-cache/src/core/index.js';
import type { ChaosNode } from './constant-load.js';
import type { Versioned } from './versioned-source.js';

export const DEADLINE_MS = 300;
export const HEARTBEAT_MS = 1000;
/** How long a lease outlives who took it: the default of the cache. */
export const LEASE_MS = 1500;

/** What a fault is done to, and what measures it. `nodes[0]` is the one that suffers; others may have a way of their own. */
export interface FaultBench {
  readonly nodes: readonly ChaosNode[];
  readonly begin: () => Promise<void> | void;
  /** Resolves when the fault is over: repaired, or (failover) another server has taken over. */
  readonly heal: () => Promise<void> | void;
  readonly stop: () => Promise<void>;
  /** Keys to use, and which of them the fault concerns; default: any, all. */
  readonly keys?: readonly string[];
  readonly concerns?: (key: string) => boolean;
}

export interface Fault {
  readonly name: string;
  readonly lastsMs: number;
  /** Whether the nodes are told nothing while it lasts, so that they may disagree until it is over. */
  readonly separates: boolean;
  /** What the table calls the time to recovery: after the end of the fault (default), or after its beginning. */
  readonly recoversFrom?: 'begin';
  /** The replication of Redis may lose what was acknowledged. */
  readonly mayLoseWrites?: true;
  /** From the start on: the load begins within the fault. */
  readonly fromStart?: true;
  /** The lease of a process that was cut off ends by itself only; until then others wait for its load. */
  readonly orphansLeases?: true;
  readonly prepare: () => Promise<FaultBench>;
}

export function chaosNode(
  name: string,
  redis: RedisOption,
  more: Pick<DistributedCacheOptions, 'local'> = {},
): ChaosNode {
  const options = { redis, keyPrefix: 'chaos', deadlineMs: DEADLINE_MS, heartbeatMs: HEARTBEAT_MS, ...more };
  const cache = new DistributedCache(CacheConfig.resolve(options, {}));
  const entries: AsyncCache<Versioned> = cache.getCache('versions');
  return { name, cache, entries };
}
