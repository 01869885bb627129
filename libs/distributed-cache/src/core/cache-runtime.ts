import type { CacheConfig } from '../config/index.js';
import type { CacheEvents } from '../events/index.js';
import type { Clock, LocalCache } from '../local/index.js';
import type { InvalidationGroup, RedisConnection, RedisTier } from '../redis/index.js';
import type { FlattenedClasses } from './flattened-classes.js';
import type { KeptLeases } from './kept-leases.js';
import type { LeaseTerm } from './lease-term.js';
import type { LoadSignals } from './load-signals.js';
import type { OutageJournal } from './outage-journal.js';
import type { StampSurroundings } from './stamp-book.js';
import type { ClassRegistry } from '../values/index.js';

/** Redis as all namespaces see it. */
export interface RedisRuntime {
  readonly connection: RedisConnection;
  readonly tier: RedisTier;
  /** Tells of changes that others make. */
  readonly changes: InvalidationGroup;
  /** What Redis has yet to forget. */
  readonly journal: OutageJournal;
  /** What Redis has yet to hear is given back. */
  readonly keptLeases: KeptLeases;
  readonly stamps: StampSurroundings;
  readonly leaseTerm: LeaseTerm;
}

/** What all namespaces of one cache share. */
export interface CacheRuntime {
  readonly config: CacheConfig;
  readonly events: CacheEvents;
  readonly clock: Clock;
  /** For the hit path: late by a millisecond, or by as long as the process is held up. */
  readonly coarseClock: Clock;
  readonly classes: ClassRegistry;
  /** Told of once a class. */
  readonly flattened: FlattenedClasses;
  /** Absent where L1 is switched off. */
  readonly local: LocalCache | undefined;
  /** Absent where no Redis is configured. */
  readonly redis: RedisRuntime | undefined;
  /** 0 (inclusive) to 1; decides early refreshes and jitter. 1: neither. */
  readonly random: () => number;
  /** Aborted when the cache closes. */
  readonly closing: AbortSignal;
  /** How long a load is waited for by others at most, and has its lease, in milliseconds. */
  readonly loadLifeMs: number;
  /** Of the loads under way in all namespaces. */
  readonly loadSignals: LoadSignals;
}
