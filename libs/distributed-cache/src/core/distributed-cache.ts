import { DECLARED_CLASSES, CacheConfig, type NamespaceOptions, type DistributedCacheOptions } from '../config/index.js';
import { RedisRequiredError } from '../errors/index.js';
import { keyChangeOf } from '../keys/index.js';
import type { CacheOperations } from '../ops/index.js';
import { operationsOf, visitor, warmUpOf } from './process-view.js';
import { CacheEvents, type CacheHealth, type CacheMetrics, type ProcessMetrics, Tracing } from '../events/index.js';
import { CoarseClock, LocalCache, SuspendWatch, systemClock, type Clock } from '../local/index.js';
import type { Refusal } from '../redis/index.js';
import { AsyncCache } from './async-cache.js';
import { requireSamePolicy } from './namespace.js';
import { CallScopes } from './call-scope.js';
import { checkHealth, effectOf } from './health.js';
import type { CacheRuntime } from './runtime.js';
import { connectRedis } from './connect-redis.js';
import { ConsistencyChecks, type ConsistencyTiming } from './consistency.js';
import { ProcessStats } from './process-stats.js';
import { UnknownClassReports } from './recorder.js';
import { LoadSignals } from './loader-run.js';
import { captureContext } from '../scope/index.js';
import { ClassRegistry } from '../values/index.js';

let bindings = 0;

/**
 * @internal An object that is made once for each cache, such as the keys of a decorated method. It is numbered, so that
 * a call finds it by its index.
 */
export class Binding<Cache, Bound extends object> {
  readonly index = bindings++;

  constructor(readonly make: (cache: Cache) => Bound) {}
}

/** The dependencies of a `DistributedCache` besides its configuration. */
export interface CacheEnvironment {
  /** The bus on which the cache emits its events; default: a bus of its own. */
  readonly events?: CacheEvents;
  /** Default: the system's monotonic clock. */
  readonly clock?: Clock;
  /**
   * How long the lease of a process that died lasts, in milliseconds; a lease is renewed while its loader runs. Default
   * 1500.
   */
  readonly leaseMs?: number;
  /**
   * How long a load keeps its lease, and other calls wait for it, at most, in milliseconds; a longer `hardTimeout` of
   * an entry applies instead. Default 60,000.
   */
  readonly loadLifeMs?: number;
  /**
   * The name of the application, the same in all of its processes: another application that uses the same key prefix is
   * noticed (event `prefixShared`). Default: none, and nothing is noticed. `DistributedCacheModule` passes it.
   */
  readonly application?: string | undefined;
  /**
   * Whether the program only looks at the cache, as the command line does: it answers no question of other processes,
   * and is not one of them. Default `false`.
   */
  readonly observer?: boolean;
  /** @internal The times of the consistency checks, for tests. */
  readonly consistencyTiming?: Partial<ConsistencyTiming>;
  /** Decides early refreshes and the jitter of TTLs; `() => 1` switches both off, for tests. Default `Math.random`. */
  readonly random?: () => number;
}

const LEASE_MS = 1500;
const LOAD_LIFE_MS = 60_000;

/**
 * All namespaces of one cache, over one L1 and one connection to Redis. The connection is opened by the first use or by
 * {@link connect}. Its loss, then or later, is emitted as events and has no other effect on callers.
 */
export class DistributedCache {
  /** The event bus of all namespaces. */
  readonly events: CacheEvents;
  /** What an operator asks and changes, over all processes of this cache. */
  readonly operations: CacheOperations;
  /** @internal A namespace for an operator: one that is not in use does not become so, and hears of no changes. */
  readonly visit: (namespace: string) => AsyncCache;
  /** The tracer of its operations; `nestjs-distributed-cache/opentelemetry` sets one. */
  readonly tracing = new Tracing();
  private readonly caches = new Map<string, AsyncCache>();
  private readonly bindings: unknown[] = [];
  private readonly runtime: CacheRuntime;
  private readonly closing = new AbortController();
  /**
   * Whether `invalidationOff` was emitted, because changes by others may be missed, and `invalidationOn` has not
   * followed yet.
   */
  private isTrackingLost = false;
  private readonly suspendWatch = new SuspendWatch();
  private readonly healthTimer: NodeJS.Timeout | undefined;
  private readonly application: string | undefined;
  private readonly stats: ProcessStats;
  private readonly consistency: ConsistencyChecks;

  constructor(
    readonly config: CacheConfig,
    environment: CacheEnvironment = {},
  ) {
    const { events = new CacheEvents(), clock = systemClock, leaseMs = LEASE_MS, random = Math.random } = environment;
    const { loadLifeMs = LOAD_LIFE_MS, application, observer = false, consistencyTiming } = environment;
    this.events = events;
    this.stats = new ProcessStats(config.keyPrefix, events);
    this.consistency = new ConsistencyChecks(() => this.runtime, consistencyTiming);
    this.application = application;
    const { local } = config;
    const redis = config.enabled ? this.connectRedis(clock, leaseMs) : undefined;
    const namespaceOf = (namespace: string): AsyncCache => this.getCache(namespace);
    this.runtime = {
      config,
      events,
      tracing: this.tracing,
      clock,
      coarseClock: clock === systemClock ? new CoarseClock(clock, () => this.checkForPause()) : clock,
      classes: new ClassRegistry(config.classes.values(), DECLARED_CLASSES),
      unknownClasses: new UnknownClassReports(events),
      local: local === false || !config.enabled ? undefined : new LocalCache({ ...local, clock }),
      redis,
      warmUp: warmUpOf(config, redis, () => this.runtime, this.caches, namespaceOf),
      random,
      closing: this.closing.signal,
      loadLifeMs,
      outside: captureContext(),
      scopes: new CallScopes(),
      loadSignals: new LoadSignals(this.closing.signal),
    };
    this.visit = visitor(this.caches, (name) => new AsyncCache(name, config.namespace(name), this.runtime));
    this.operations = operationsOf(this.runtime, this.caches, this.visit, { application, observer });
    if (config.enabled) {
      this.consistency.start();
      this.healthTimer = setInterval(() => void reportHealth(this.runtime), config.healthCheckIntervalMs);
      this.healthTimer.unref();
    }
  }

  /**
   * The cache of a namespace, always the same object; made at the first call.
   * @param options override `namespaces[namespace]` of the configuration; pass them before or with the first use
   * @throws ConfigurationError for wrong options, for a name that holds anything but letters, digits, `_`, `.` and `-`,
   * and for options that differ from those with which the namespace is in use
   */
  getCache<T = unknown>(namespace: string, options?: NamespaceOptions): AsyncCache<T> {
    let cache = this.caches.get(namespace);
    if (cache === undefined) {
      cache = new AsyncCache(namespace, this.config.namespace(namespace, options), this.runtime);
      this.caches.set(namespace, cache);
      this.consistency.join(cache.checked);
    } else if (options !== undefined) {
      requireSamePolicy(cache, this.config.namespace(namespace, options));
    }
    // The type of the values is known to the callers, not to the map.
    return cache as AsyncCache<T>;
  }

  /** @internal An object that is made once for this cache, such as the keys of a decorated method. */
  bound<Bound extends object>({ index, make }: Binding<this, Bound>): Bound {
    return (this.bindings[index] ??= make(this)) as Bound;
  }

  /**
   * Runs `work` past the cache, in all namespaces: in it, and in everything that it calls and awaits, reads find nothing,
   * each loader and each method with `@Cached` runs as without a cache, and nothing is stored. A `set` and a `@CachePut`
   * delete their entry, which is outdated; deletions and invalidations take effect. Other calls use the cache as always.
   * @returns what `work` returns
   */
  bypass<Result>(work: () => Result): Result {
    return this.runtime.scopes.run('bypass', work);
  }

  /**
   * Runs `work` with a refresh of what it uses, in all namespaces: in it, and in everything that it calls and awaits,
   * loaders included, each entry is loaded anew, once, and stored. Until then other calls get the present entry. A load
   * that began before is not joined, and its result is not kept. An error of a loader reaches the caller, and the entry
   * stays. Reads without a loader find nothing until the entry is renewed. While Redis can't be used, only this process
   * has the new value.
   * @returns what `work` returns
   */
  refresh<Result>(work: () => Result): Result {
    return this.runtime.scopes.run('refresh', work);
  }

  /**
   * Opens the connection now instead of at the first use. Resolves when the first attempt has ended, whether or not it
   * succeeded.
   * @throws RedisRequiredError if it did not, or Redis accepts no writes, and `requireRedis` is `'at-start'`; the cache is
   * closed then
   */
  async connect(): Promise<void> {
    const { redis, config } = this.runtime;
    await redis?.connection.connect();
    if (redis !== undefined && config.requireRedis === 'at-start') {
      const { status, message = '' } = await this.healthCheck();
      if (status === 'down') {
        await this.close();
        throw new RedisRequiredError(config.redisPlace ?? '', message);
      }
    }
  }

  /** @internal */
  get warmUp(): CacheRuntime['warmUp'] {
    return this.runtime.warmUp;
  }

  /** @internal The parts of L2, for the command line. */
  get redis(): CacheRuntime['redis'] {
    return this.runtime.redis;
  }

  /** The counters of every namespace in use, in this process. */
  getMetrics(): CacheMetrics[] {
    return [...this.caches.values()].map((cache) => cache.getMetrics());
  }

  /** What this process counts besides its namespaces: messages, lost time, the journal, the servers of Redis. */
  getProcessMetrics(): ProcessMetrics {
    return this.stats.snapshot(this.runtime);
  }

  /** Checks the health of the cache; asks Redis, and waits for at most twice `deadlineMs`; never rejects. */
  healthCheck(): Promise<CacheHealth> {
    return checkHealth(this.runtime);
  }

  /**
   * Waits for the operations under way (at most `deadlineMs`) and closes the connection, unless it was handed in. L1 is
   * emptied; from then on every call runs its loader. A second call does nothing.
   */
  async close(): Promise<void> {
    clearInterval(this.healthTimer);
    this.operations.close();
    this.consistency.stop();
    this.warmUp.stop();
    this.closing.abort();
    const { redis, local } = this.runtime;
    await redis?.outbox?.relay?.close();
    await redis?.connection.close();
    redis?.changes.close();
    local?.clear();
  }

  private connectRedis(clock: Clock, leaseMs: number): CacheRuntime['redis'] {
    return connectRedis(
      { config: this.config, clock, leaseMs },
      {
        onChanged: (keys, isMessage, isOfReplica) => this.onChanged(keys, isMessage, isOfReplica),
        onTrackingUp: () => this.onTrackingUp(),
        onTrackingLost: () => this.onTrackingLost(),
        onTrust: () => this.stats.updateDistrust(this.runtime),
        onMoved: (home, reason) => this.events.emit('homeChanged', { home, reason }),
        onLag: (lagMs) => this.stats.lag(lagMs),
        operations: this.stats,
        onHeartbeat: () => this.caches.forEach((cache) => void cache.invalidator.onHeartbeat()),
        onLive: (downMs) => this.onRedisLive(downMs),
        onDown: (reason) => this.onRedisDown(reason),
        onCause: (reason) =>
          this.events.emit('redisConnectionFailed', { address: this.config.redisAddress ?? '', reason }),
        onDoubtEnded: () => this.onDoubtEnded(),
        onNodeDown: (address, reason) => this.events.emit('redisConnectionFailed', { address, reason }),
        onJournalFull: (namespace) => this.events.emit('journalFull', { namespace }),
        onRefused: (refusal) => reportRefusal(refusal, this.config.keyPrefix, this.events),
        onNodeLive: (address, downMs) => this.events.emit('redisConnected', { address, downMs }),
      },
    );
  }

  private onChanged(keys: readonly string[] | undefined, isMessage: boolean, isOfReplica: boolean): void {
    if (isMessage) {
      this.stats.received(keys);
    }
    if (keys === undefined) {
      // remedy: flush-starts-epoch
      this.startEpoch();
      this.operations.recent.onAll();
      void this.warmUp.onFlushed();
      return;
    }
    const { length: prefixLength } = `${this.config.keyPrefix}:`;
    const nowMs = Date.now();
    for (const key of keys) {
      const change = keyChangeOf(key, prefixLength);
      const invalidator = change && this.caches.get(change.namespace)?.invalidator;
      if (change?.isEndOfLoad === true) {
        invalidator?.onRemoteLoadEnded(change.encodedKey);
      } else if (change !== undefined) {
        invalidator?.onRemoteChange(change.encodedKey, isOfReplica);
        this.operations.recent.onKey(change.namespace, change.encodedKey, nowMs);
      }
    }
  }

  private onTrackingUp(): void {
    if (this.runtime.redis?.connection.state === 'connecting') {
      // Calls that have waited for the connection go on; those that could not wait so long have gone on without it.
      this.caches.forEach((cache) => cache.invalidator.onFirstTracking());
    } else {
      // remedy: new-epoch-when-live-again
      this.startEpoch();
    }
    if (this.isTrackingLost) {
      this.isTrackingLost = false;
      this.events.emit('invalidationOn', {});
    }
  }

  /**
   * Reports that changes may be missed. When the connection is not live, that has been reported already, or is reported
   * once it is no longer in doubt, and L1 serves as the fallback.
   */
  private onTrackingLost(): void {
    if (this.runtime.redis?.connection.isLive === true && !this.isTrackingLost) {
      this.isTrackingLost = true;
      this.events.emit('invalidationOff', {});
    }
  }

  private onDoubtEnded(): void {
    this.caches.forEach((cache) => cache.invalidator.onDoubtEnded());
    if (this.runtime.redis?.changes.receivesChanges === false) {
      this.onTrackingLost();
    }
  }

  /**
   * Checks for a pause of the process. It runs once per turn of the event loop in which L1 is read, before L1 answers:
   * the process may have been stopped until now.
   */
  private checkForPause(): void {
    this.runtime.redis?.changes.checkHeartbeats();
    if (this.suspendWatch.hasSlept()) {
      this.startEpoch();
    }
  }

  private startEpoch(): void {
    this.stats.epochs++;
    this.caches.forEach(({ invalidator }) => invalidator.startEpoch());
  }

  private onRedisLive(downMs: number | undefined): void {
    const { config, events } = this;
    this.stats.updateDistrust(this.runtime);
    events.emit('redisConnected', { address: config.redisAddress ?? '', downMs: downMs ?? 0 });
    this.warmUp.onLive();
    if (downMs === undefined) {
      void reportSharedPrefix(this.application, this.runtime);
      return;
    }
    this.startEpoch();
    if (this.canFallBack) {
      events.emit('fallbackOff', { downMs });
    }
  }

  private onRedisDown(reason: string): void {
    const { config, events } = this;
    this.stats.updateDistrust(this.runtime);
    events.emit('redisConnectionFailed', { address: config.redisAddress ?? '', reason });
    this.warmUp.onDown();
    if (this.canFallBack) {
      events.emit('fallbackOn', { reason });
    }
  }

  private get canFallBack(): boolean {
    return this.config.fallback !== false && this.runtime.local !== undefined;
  }
}

async function reportHealth(runtime: CacheRuntime): Promise<void> {
  if (runtime.redis?.connection.state === 'idle') {
    return; // the connection is not in use yet, and a health check must not open it
  }
  runtime.events.emit('healthChecked', { health: await checkHealth(runtime) });
}

/** Reports if another application has marked the key prefix last, and marks it for this one. */
async function reportSharedPrefix(application: string | undefined, { redis, events }: CacheRuntime): Promise<void> {
  const other = application === undefined ? undefined : await redis?.markPrefix(application);
  if (application !== undefined && other !== undefined && other !== application) {
    events.emit('prefixShared', { application, other });
  }
}

function reportRefusal(refusal: Refusal, keyPrefix: string, events: CacheEvents): void {
  const effect = effectOf(refusal, keyPrefix);
  if (effect !== undefined) {
    events.emit('redisRefused', effect);
  }
}

/**
 * Creates a cache without Nest, for scripts and workers. Resolves when the first attempt to connect to Redis has ended,
 * whether or not it succeeded.
 * @throws ConfigurationError with every mistake in the options and the environment
 */
export async function createDistributedCache(
  options: DistributedCacheOptions = {},
  environment: CacheEnvironment = {},
): Promise<DistributedCache> {
  const cache = new DistributedCache(CacheConfig.resolve(options), environment);
  await cache.connect();
  return cache;
}
