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
/** How long a lease lives after its process has died: the default of the cache. */
export const LEASE_MS = 1500;

/**
 * The object of a fault and the nodes that measure it. The fault concerns `nodes[0]`; others may have paths of their
 * own.
 */
export interface FaultBench {
  readonly nodes: readonly ChaosNode[];
  readonly begin: () => Promise<void> | void;
  /** Resolves when the fault is over: it is repaired, or another server has taken over after a failover. */
  readonly heal: () => Promise<void> | void;
  readonly stop: () => Promise<void>;
  /** The keys to use, and those that the fault concerns; default: any, all. */
  readonly keys?: readonly string[];
  readonly concerns?: (key: string) => boolean;
}

export interface Fault {
  readonly name: string;
  readonly lastsMs: number;
  /** Whether the nodes receive no messages during the fault, so that their values may differ until it is over. */
  readonly separates: boolean;
  /** What the table calls the time to recovery: after the end of the fault (default) or after its beginning. */
  readonly recoversFrom?: 'begin';
  /** The replication of Redis may lose acknowledged writes. */
  readonly mayLoseWrites?: true;
  /** The fault exists from the start: the load begins during it. */
  readonly fromStart?: true;
  /** The lease of a disconnected process ends only by its expiry; until then other processes wait for its load. */
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
