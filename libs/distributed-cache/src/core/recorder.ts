import type { EncodedPayload } from '../codec/index.js';
import type { RefusalReason } from '../errors/index.js';
import type {
  AnsweringTier,
  CacheEventMap,
  CacheEvents,
  Counters,
  LoaderOutcome,
  SchemaMismatch,
} from '../events/index.js';
import { type CacheKey, PreparedKey } from '../keys/index.js';
import type { EvictionReason } from '../local/index.js';
import type { NotKept } from './entry-options.js';

/**
 * Counts the lookups of one namespace and emits their events. The payload of an event is built only when there is a
 * listener.
 */
export class Recorder {
  private readonly callers = new Map<string, string>();

  constructor(
    readonly namespace: string,
    private readonly counters: Counters,
    private readonly events: CacheEvents,
  ) {}

  /** @param loadMs how long the loader of the value took: the time that the hit has saved, in milliseconds */
  hit(key: CacheKey, tier: AnsweringTier, state: 'fresh' | 'stale', ttlMs: number, loadMs: number): void {
    this.counters.loadSecondsSaved += loadMs / 1000;
    if (tier === 'local') {
      this.counters.localHits++;
    } else {
      this.counters.redisHits++;
    }
    if (state === 'stale') {
      this.counters.staleServed++;
      this.counters.staleLocal += tier === 'local' ? 1 : 0;
    }
    if (this.events.isObserved('hit')) {
      this.emitHit(key, tier, state, ttlMs);
    }
  }

  /** Emits the event of a hit that is counted already. */
  emitHit(key: CacheKey, tier: AnsweringTier, state: 'fresh' | 'stale', ttlMs: number): void {
    this.events.emit('hit', { tier, state, ttlMs, ...this.of(key) });
  }

  miss(key: CacheKey, facts: { stale: boolean; collapsed: boolean; stored: boolean }): void {
    this.counters.misses++;
    if (this.events.isObserved('miss')) {
      this.events.emit('miss', { ...facts, ...this.of(key) });
    }
  }

  load(key: CacheKey, durationMs: number, outcome: LoaderOutcome): void {
    const failed = outcome !== 'ok';
    this.counters.loads++;
    if (failed) {
      this.counters.loadErrors++;
    }
    if (this.events.isObserved('load')) {
      this.events.emit('load', { durationMs, failed, outcome, ...this.of(key) });
    }
  }

  /** Counts a loader run that renews a value. @param ttlMs the rest of the fresh life of the present value */
  refresh(ttlMs: number): void {
    if (ttlMs > 0) {
      this.counters.refreshesEarly++;
    } else {
      this.counters.refreshesStale++;
    }
  }

  /** Counts an entry that has left L1. */
  evicted(reason: EvictionReason): void {
    this.counters[EVICTIONS[reason]]++;
  }

  /** Counts a key that was read with the miss of another one, or what became of its value. */
  companion(what: keyof typeof COMPANIONS): void {
    this.counters[COMPANIONS[what]]++;
  }

  /** Counts the bytes of a value that is sent to Redis. */
  sent({ bytes, rawBytes }: EncodedPayload): void {
    this.counters.storedBytes += typeof bytes === 'string' ? rawBytes : bytes.length;
    this.counters.rawBytes += rawBytes;
  }

  /** Emits that a loader failed and callers have the previous value: otherwise its error would be lost. */
  refreshFailed(key: CacheKey, state: 'fresh' | 'stale', error: unknown): void {
    this.events.emit('refreshFailed', { state, error, ...this.of(key) });
  }

  /** Counts a call that waits for another process's load. */
  wait(): void {
    this.counters.waits++;
  }

  /** Counts a load that was not stored: its lease was gone, or this process has changed the key itself. */
  leaseLost(): void {
    this.counters.leasesLost++;
  }

  /** Counts and emits that the queue to Redis is full: an operation was not sent. */
  overload(operation: CacheEventMap['overload']['operation']): void {
    this.counters.overloads++;
    if (this.events.isObserved('overload')) {
      this.events.emit('overload', { namespace: this.namespace, operation });
    }
  }

  /** Counts and emits that a value does not match what the present code expects. */
  mismatch(key: CacheKey, mismatch: SchemaMismatch): void {
    this.counters.schemaMismatches++;
    if (this.events.isObserved('schemaMismatch')) {
      this.events.emit('schemaMismatch', { ...mismatch, ...this.of(key) });
    }
  }

  /** Emits that a value is not kept because of a mistake in the options. */
  notKept(key: CacheKey, { reason, error }: NotKept): void {
    if (reason !== undefined) {
      this.valueRefused(key, 'option', reason, { error });
    }
  }

  valueRefused(
    key: CacheKey,
    refusal: keyof typeof REFUSALS,
    reason: string,
    { error, className }: { error?: unknown; className?: string | undefined },
  ): void {
    this.counters[REFUSALS[refusal]]++;
    this.events.emit('valueRefused', {
      ...this.of(key),
      reason,
      ...(error === undefined ? {} : { error }),
      ...(className === undefined ? {} : { className }),
    });
  }

  /** Counts a consistency check; a divergence is emitted. @param ageMs how long ago the entry was made */
  checked(key: string, result: 'equal' | 'behind' | 'diverged', ageMs: number): void {
    this.counters[CHECKS[result]]++;
    if (result === 'diverged') {
      this.events.emit('diverged', { ageMs, ...this.of(key) });
    }
  }

  set(key: CacheKey, ttlMs: number, redis: boolean): void {
    this.counters.sets++;
    if (this.events.isObserved('set')) {
      this.events.emit('set', { ttlMs, redis, ...this.of(key) });
    }
  }

  delete(key: CacheKey, existed: boolean): void {
    this.counters.deletes++;
    if (this.events.isObserved('delete')) {
      this.events.emit('delete', { existed, ...this.of(key) });
    }
  }

  expire(key: CacheKey, existed: boolean): void {
    this.counters.expires++;
    if (this.events.isObserved('expire')) {
      this.events.emit('expire', { existed, ...this.of(key) });
    }
  }

  invalidateTags(tags: readonly string[]): void {
    this.counters.tagInvalidations += tags.length;
    this.events.emit('invalidateTags', { namespace: this.namespace, tags });
  }

  clear(): void {
    this.counters.clears++;
    this.events.emit('clear', { namespace: this.namespace });
  }

  tierError(tier: AnsweringTier, operation: 'get' | 'set' | 'delete' | 'clear', error: Error): void {
    this.counters.errors++;
    this.events.emit('tierError', { namespace: this.namespace, tier, operation, error });
  }

  /** Remembers the method that has made the key: the events of its load are about the encoded key. */
  rememberCaller(key: CacheKey): void {
    if (key instanceof PreparedKey && key.caller !== undefined) {
      if (this.callers.size >= MAX_REMEMBERED) {
        this.callers.clear();
      }
      this.callers.set(key.encoded, key.caller);
    }
  }

  /**
   * The part of a payload that says which entry the event is about. It is spread after the other properties: V8 takes over a
   * microsecond to add a property to an object that begins with a spread, and a hit is an event.
   */
  private of(key: CacheKey): { readonly namespace: string; readonly key: string; readonly caller?: string } {
    const { namespace } = this;
    const caller = key instanceof PreparedKey ? key.caller : this.callers.get(key);
    return { namespace, key: String(key), ...(caller !== undefined && { caller }) };
  }
}

const MAX_REMEMBERED = 1000;

const EVICTIONS = {
  capacity: 'evictionsCapacity',
  expired: 'evictionsExpired',
  invalidated: 'evictionsInvalidated',
  epoch: 'evictionsEpoch',
} as const satisfies Record<EvictionReason, keyof Counters>;

const COMPANIONS = {
  read: 'companionPrefetches',
  used: 'companionPrefetchesUsed',
  wasted: 'companionPrefetchesWasted',
} as const satisfies Record<string, keyof Counters>;

const CHECKS = {
  equal: 'consistencyEqual',
  behind: 'consistencyBehind',
  diverged: 'consistencyDiverged',
} as const satisfies Record<string, keyof Counters>;

const REFUSALS = {
  unserializable: 'refusedUnserializable',
  class: 'refusedClass',
  'too-large': 'refusedTooLarge',
  'too-deep': 'refusedTooDeep',
  option: 'refusedOption',
  codec: 'refusedCodec',
} as const satisfies Record<RefusalReason | 'option' | 'codec', keyof Counters>;

/** Reports each class that is unknown to this process, once: after a start, the first read of many entries finds it. */
export class UnknownClassReports {
  private readonly reported = new Set<string>();

  constructor(private readonly events: CacheEvents) {}

  /** @param className a name from stored data; `undefined`: it does not look like a name */
  report(namespace: string, className = ''): void {
    if (!this.reported.has(className) && this.reported.size < MAX_REPORTED) {
      this.reported.add(className);
      this.events.emit('classUnknown', { namespace, className });
    }
  }
}

/** The names come from stored data: their number is limited. */
const MAX_REPORTED = 1000;
