import type { CacheConfig } from '../config/index.js';
import type { CacheEvents, Tracing } from '../events/index.js';
import type { Clock, LocalCache } from '../local/index.js';
import type { Home, InvalidationGroup, Outbox, ProcessTopics, RedisConnection, RedisTier } from '../redis/index.js';
import type { CallScopes } from './call-scope.js';
import type { UnknownClassReports } from './recorder.js';
import type { PendingReleases, LeaseTerm } from './lease.js';
import type { LoadSignals } from './loader-run.js';
import type { OutageJournal } from './outage-journal.js';
import type { StampStore } from './stamps.js';
import type { RunInContext } from '../scope/index.js';
import type { WarmUp } from '../warm/warm-up.js';
import type { ClassRegistry } from '../values/index.js';

/** The parts of Redis that all namespaces share. */
export interface RedisRuntime {
  readonly connection: RedisConnection;
  readonly tier: RedisTier;
  /** Absent when the primary is the home of every process. */
  readonly home: Home | undefined;
  /** Changes for other regions; absent unless this region has a name. */
  readonly outbox: Outbox | undefined;
  /** The same tier for changes that another region has made: they are not put into the outbox. */
  readonly relayedTier: RedisTier;
  /** Tells the namespaces of this process about a change by {@link relayedTier}: Redis tells the other processes only. */
  onRelayed(keys: readonly string[]): void;
  /** Reports changes by others. */
  readonly changes: InvalidationGroup;
  readonly journal: OutageJournal;
  /** The released leases that Redis has not acknowledged yet. */
  readonly pendingReleases: PendingReleases;
  readonly stamps: StampStore;
  readonly leaseTerm: LeaseTerm;
  /** The topics on which processes ask each other. */
  readonly topics: ProcessTopics;
  /** In strict mode: whether the last change of a server has reached no replica in time. */
  readonly isUnreplicated: boolean;
  /**
   * Marks the key prefix with the name of this application, for 30 days.
   * @returns the name that was there; `undefined` without one, and if Redis refuses it. Never rejects
   */
  markPrefix(application: string): Promise<string | undefined>;
}

/** The parts that all namespaces of one cache share. */
export interface CacheRuntime {
  readonly config: CacheConfig;
  readonly events: CacheEvents;
  readonly tracing: Tracing;
  readonly clock: Clock;
  /** The clock of the hit path: it lags by a millisecond, or by as long as the event loop is blocked. */
  readonly coarseClock: Clock;
  readonly classes: ClassRegistry;
  /** The classes that have been reported as unknown; each is reported once. */
  readonly unknownClasses: UnknownClassReports;
  /** Absent when L1 is switched off. */
  readonly local: LocalCache | undefined;
  /** Absent when no Redis is configured. */
  readonly redis: RedisRuntime | undefined;
  /** Returns a number from 0 (inclusive) to 1; decides early refreshes and jitter. With 1 there is neither. */
  readonly random: () => number;
  /** Aborted when the cache closes. */
  readonly closing: AbortSignal;
  /** How long other calls wait for a load at most, and how long it keeps its lease, in milliseconds. */
  readonly loadLifeMs: number;
  /** Runs work in the asynchronous context in which the cache was made, so outside of every request. */
  readonly outside: RunInContext;
  /** The scopes of `bypass` and `refresh`. */
  readonly scopes: CallScopes;
  /** The signals of the loads under way in all namespaces. */
  readonly loadSignals: LoadSignals;
  readonly warmUp: WarmUp;
}
