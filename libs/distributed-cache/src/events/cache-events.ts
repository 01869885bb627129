import { channel, type Channel } from 'node:diagnostics_channel';
import type { CacheHealth } from './cache-health.js';

/** The tier that answered. */
export type AnsweringTier = 'local' | 'redis';

/**
 * Why Redis can't be used: the first word of its error (`WRONGPASS`), a system code (`ECONNREFUSED`), or a word of this
 * library (`timeout`).
 */
export type OutageReason = string;

/** How a loader ended. `timeout`: it was given up after `hardTimeout`. */
export type LoaderOutcome = 'ok' | 'error' | 'timeout';

/** What an operation in Redis was for. `lease`: leases and their marks; `clear`, `tags`: stamps of namespaces and tags. */
export type RedisOperation = 'get' | 'getMany' | 'set' | 'delete' | 'lease' | 'fill' | 'clear' | 'tags';

/** How an operation in Redis ended. `refused`: an error reply; `error`: the connection was lost. */
export type RedisOutcome = 'ok' | 'timeout' | 'refused' | 'error';

interface OfNamespace {
  readonly namespace: string;
}

interface OfKey extends OfNamespace {
  /** The whole key, as the caller gave it: shorten it with `describeKey` before it leaves the process. */
  readonly key: string;
  /** The decorated method whose `key` option has made the key: `Users.find`. A default key begins with it. */
  readonly caller?: string;
}

/** A value does not match its schema (`issues`), or the schema (`threw`) or `migrate` failed. */
export interface SchemaMismatch {
  /** `read`: the value came from Redis, and is a miss. `store`: it was just made, and is not stored. */
  readonly during: 'read' | 'store';
  /** `class`: the schema turns an instance of a class into another object, such as a plain one. */
  readonly cause: 'issues' | 'threw' | 'migrate' | 'class';
}

/**
 * All events of the cache with their payloads. Each event is emitted in the asynchronous context of the call that
 * caused it, so a listener may read an `AsyncLocalStorage`. No payload carries a cached value.
 */
export interface CacheEventMap {
  /** A lookup was answered by a tier. `ttlMs` is the rest of the fresh life; zero or less for a stale value. */
  hit: OfKey & { readonly tier: AnsweringTier; readonly state: 'fresh' | 'stale'; readonly ttlMs: number };
  /**
   * A lookup was answered by no tier. `stale`: there was a value, past its TTL. `collapsed`: the call waited for a load
   * that another call had started. `stored`: the loader's result was stored; the load may also have failed.
   */
  miss: OfKey & { readonly stale: boolean; readonly collapsed: boolean; readonly stored: boolean };
  /** A loader ended; `failed` when it threw, or was given up after `hardTimeout` (`outcome`: `timeout`). */
  load: OfKey & { readonly durationMs: number; readonly failed: boolean; readonly outcome: LoaderOutcome };
  /**
   * A loader failed, and callers get the previous value instead of its error: a refresh in the background (`state` of
   * the value: `fresh`), or a load in whose place a `stale` value is returned.
   */
  refreshFailed: OfKey & { readonly state: 'fresh' | 'stale'; readonly error: unknown };
  /** A value was stored, for `ttlMs`; `redis`: also in Redis. */
  set: OfKey & { readonly ttlMs: number; readonly redis: boolean };
  /** A key was deleted; `existed` as far as Redis could be asked. */
  delete: OfKey & { readonly existed: boolean };
  /** An entry was made stale by `expire`. */
  expire: OfKey & { readonly existed: boolean };
  /** The entries with these tags were made misses. `tags` are whole names: shorten them like keys. */
  invalidateTags: OfNamespace & { readonly tags: readonly string[] };
  /** All entries of the namespace were made misses. */
  clear: OfNamespace;
  /**
   * A value is returned and not kept, by no tier; `reason` says why: it can't be stored (`className`: because instances
   * of this class can't be restored), or `ttl`, `setTtl` or `cacheIf` has gone wrong (`error`: what the function has
   * thrown).
   */
  valueRefused: OfKey & { readonly reason: string; readonly className?: string; readonly error?: unknown };
  /** A value does not match its schema: it is a miss, or is not stored. */
  schemaMismatch: OfKey & SchemaMismatch;
  /**
   * A call was not cached because dimensions of its `varyBy` are missing in the request. Emitted once for each
   * `caller`: a decorated method (`Users.find`), or the method of the cache that was called directly.
   */
  dimensionMissing: OfNamespace & { readonly caller: string; readonly dimensions: readonly string[] };
  /**
   * The key or an option of a call of a decorated method can't be computed (`reason`): the method runs, and `effect`
   * says what the cache does. Emitted once for each `caller` and effect.
   */
  decoratedCallUncached: OfNamespace & {
    readonly caller: string;
    readonly effect: 'not cached' | 'result not stored' | 'entries evicted' | 'namespace cleared';
    readonly reason: string;
  };
  /**
   * An entry in Redis holds an instance of a class that this process does not know (yet): it is a miss. `className` is
   * empty when the stored name does not look like a name. Emitted once per class.
   */
  classUnknown: OfNamespace & { readonly className: string };
  /** A tier failed and the call went on without it. */
  tierError: OfNamespace & {
    readonly tier: AnsweringTier;
    readonly operation: 'get' | 'set' | 'delete' | 'clear';
    readonly error: Error;
  };
  /**
   * This process sends more to Redis than Redis answers, and the queue between them is full: the operation was not
   * sent, and the call went on without Redis. Redis itself works.
   */
  overload: OfNamespace & { readonly operation: 'get' | 'set' | 'delete' | 'clear' };
  /**
   * So many deletions or tag invalidations wait for Redis that the journal can't hold them all: the namespace is cleared
   * in their place, for all processes, when Redis can be used.
   */
  journalFull: OfNamespace;
  /** Redis answers (again). `downMs` is the length of the outage, 0 at the first connection. */
  redisConnected: { readonly address: string; readonly downMs: number };
  /**
   * Redis can't be used; `reason` is the word for the cause that health shows too. Emitted once more in an outage when a
   * server that was reached says the cause: `NOAUTH` after `connection-closed`.
   */
  redisConnectionFailed: { readonly address: string; readonly reason: OutageReason };
  /**
   * Redis answers, but refuses a command: the user has no right to it, the server does not have it, or accepts no
   * writes (`reply`: the first word of its answer). `effect` says what does not work. Emitted once for each command and
   * reply.
   */
  redisRefused: {
    readonly command: string;
    readonly keyPattern: string;
    readonly reply: OutageReason;
    readonly effect: string;
  };
  /**
   * Another application (`other`) has used Redis with the same key prefix in the last 30 days, so methods with equal names
   * share entries. Emitted at the first connection, at most once.
   */
  prefixShared: { readonly application: string; readonly other: string };
  /** Redis can't be used: from now on L1 alone answers. */
  fallbackOn: { readonly reason: OutageReason };
  /** Redis serves again, after `downMs` milliseconds. */
  fallbackOff: { readonly downMs: number };
  /**
   * Another server is the home of this process (`redis.home`), which it reads from and listens at. `home`: `primary`, or the
   * `host:port` of a replica. `reason`: why the previous home was left; `undefined` when a replica becomes the home.
   */
  homeChanged: { readonly home: string; readonly reason: string | undefined };
  /** After an `invalidationOff`: every change by others is received again, and L1 is trusted. */
  invalidationOn: object;
  /** Redis serves, but changes by others may be missed: L1 does not answer. */
  invalidationOff: object;
  /**
   * A consistency check has found that L1 answered with an entry that Redis has not had for ten seconds, although every
   * change should have been received. L1 has dropped it. `ageMs`: how long ago the entry was made.
   */
  diverged: OfKey & { readonly ageMs: number };
  /**
   * An operation that was sent to Redis has ended, `durationMs` after it was handed to the connection. `server`: in a
   * Cluster the `host:port` of the master, otherwise `redis`.
   */
  redisOperation: {
    readonly operation: RedisOperation;
    readonly outcome: RedisOutcome;
    readonly durationMs: number;
    readonly server: string;
  };
  /**
   * The server has answered on the connection of the invalidation messages: a message that it had sent just before the
   * question was handled no later than `lagMs` after it. Emitted at each heartbeat, for each server.
   */
  invalidationLag: { readonly lagMs: number };
  /**
   * The warm-up after the start has ended: with all its keys (`done`), by its deadline, or because Redis can't be used.
   * `kept`: entries that were read into L1; `missing`: hot keys that Redis did not have; `loaded`: those that this
   * process has loaded.
   */
  warmedUp: {
    readonly outcome: 'done' | 'deadline' | 'redis-away';
    readonly durationMs: number;
    readonly kept: number;
    readonly missing: number;
    readonly loaded: number;
  };
  /**
   * Changes of another region were applied here. `lagMs`: how long ago the oldest of them was made, by the clocks of the
   * two Redis servers.
   */
  relayApplied: { readonly region: string; readonly changes: number; readonly lagMs: number };
  /** Changes of this region were accepted by the transport of a link. Emitted in the process that leads the relay. */
  relaySent: { readonly link: string; readonly changes: number };
  /**
   * Changes of another region may have been lost, or its relay has just begun: every namespace of this region was
   * cleared.
   */
  relayGap: { readonly region: string; readonly namespaces: number };
  /** A link of the relay does not work, and is tried again until it does. Emitted once for each failure. */
  relayFailed: { readonly link: string; readonly during: 'publish' | 'receive'; readonly error: Error };
  /** After a `relayFailed`: the link works again. */
  relayRestored: { readonly link: string; readonly during: 'publish' | 'receive' };
  /** The result of the periodic health check. */
  healthChecked: { readonly health: CacheHealth };
}

/** The name of an event of the cache. */
export type CacheEventName = keyof CacheEventMap;

/** A listener of one event. It runs synchronously, in the asynchronous context of the call that caused the event. */
export type CacheEventListener<Name extends CacheEventName> = (event: CacheEventMap[Name]) => void;

/**
 * The prefix of diagnostics channels: every event is also published on the channel with this prefix and the event's
 * name.
 */
export const DIAGNOSTICS_CHANNEL_PREFIX = 'nestjs-distributed-cache:';

/** One event's listeners and its diagnostics channel. */
class Topic<Name extends CacheEventName> {
  readonly listeners = new Set<CacheEventListener<Name>>();
  readonly channel: Channel;

  constructor(name: Name) {
    this.channel = channel(DIAGNOSTICS_CHANNEL_PREFIX + name);
  }

  get isObserved(): boolean {
    return this.listeners.size > 0 || this.channel.hasSubscribers;
  }
}

/**
 * The event bus of the cache, for logs, metrics and the application's own listeners. Listeners run synchronously, in
 * the order in which they were added. One that throws, or whose promise rejects, is reported as a process warning, once
 * per listener, and affects neither the cache nor the other listeners. The promise of a listener is not waited for.
 */
export class CacheEvents {
  private readonly topics = new Map<CacheEventName, Topic<CacheEventName>>();

  /** A listener that fails at each hit must not flood the log. */
  private readonly reported = new WeakSet<object>();

  /** Adds a listener. @returns a function that removes it */
  on<Name extends CacheEventName>(name: Name, listener: CacheEventListener<Name>): () => void {
    const { listeners } = this.topic(name);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Whether the event has a listener: check it before a payload is built on a hot path. */
  isObserved(name: CacheEventName): boolean {
    return this.topic(name).isObserved;
  }

  /** An object with {@link isObserved} of one event, for a path so hot that the lookup of the event by name counts. */
  observation(name: CacheEventName): { readonly isObserved: boolean } {
    return this.topic(name);
  }

  /** Calls the listeners of an event, then publishes it on its diagnostics channel. Never throws. */
  emit<Name extends CacheEventName>(name: Name, event: CacheEventMap[Name]): void {
    const topic = this.topic(name);
    for (const listener of topic.listeners) {
      try {
        const outcome: unknown = listener(event);
        if (outcome instanceof Promise) {
          outcome.catch((error: unknown) => this.report(name, listener, error));
        }
      } catch (error) {
        this.report(name, listener, error);
      }
    }
    if (topic.channel.hasSubscribers) {
      topic.channel.publish(event);
    }
  }

  /** Removes all listeners. */
  removeAll(): void {
    for (const topic of this.topics.values()) {
      topic.listeners.clear();
    }
  }

  private topic<Name extends CacheEventName>(name: Name): Topic<Name> {
    let topic = this.topics.get(name) as Topic<Name> | undefined;
    if (topic === undefined) {
      topic = new Topic(name);
      this.topics.set(name, topic as Topic<CacheEventName>);
    }
    return topic;
  }

  /** Reports a listener's failure, by the error's name only: its message could hold anything. */
  private report(name: CacheEventName, listener: object, error: unknown): void {
    if (this.reported.has(listener)) {
      return;
    }
    this.reported.add(listener);
    const what = error instanceof Error ? error.name : typeof error;
    process.emitWarning(`A listener of the cache event "${name}" threw ${what}`, { code: 'CACHE_LISTENER_THREW' });
  }
}
