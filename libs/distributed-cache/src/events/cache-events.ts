import { channel, type Channel } from 'node:diagnostics_channel';
import type { CacheEventMap, CacheEventName } from './cache-event-map.js';

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

type Topics = { readonly [Name in CacheEventName]: Topic<Name> };

/**
 * The event bus of the cache, for logs, metrics and the application's own listeners. Listeners run synchronously, in
 * the order in which they were added. One that throws, or whose promise rejects, is reported as a process warning, once
 * per listener, and affects neither the cache nor the other listeners. The promise of a listener is not waited for.
 */
export class CacheEvents {
  private readonly topics: Topics = {
    hit: new Topic('hit'),
    miss: new Topic('miss'),
    load: new Topic('load'),
    set: new Topic('set'),
    delete: new Topic('delete'),
    clear: new Topic('clear'),
    valueRefused: new Topic('valueRefused'),
    schemaMismatch: new Topic('schemaMismatch'),
    dimensionMissing: new Topic('dimensionMissing'),
    instanceFlattened: new Topic('instanceFlattened'),
    tierError: new Topic('tierError'),
    overload: new Topic('overload'),
    redisConnected: new Topic('redisConnected'),
    redisConnectionFailed: new Topic('redisConnectionFailed'),
    redisRefused: new Topic('redisRefused'),
    fallbackOn: new Topic('fallbackOn'),
    fallbackOff: new Topic('fallbackOff'),
    invalidationOn: new Topic('invalidationOn'),
    invalidationOff: new Topic('invalidationOff'),
    healthChecked: new Topic('healthChecked'),
  };

  /** A listener that fails at each hit must not flood the log. */
  private readonly reported = new WeakSet<object>();

  /** Adds a listener. @returns a function that removes it */
  on<Name extends CacheEventName>(name: Name, listener: CacheEventListener<Name>): () => void {
    const { listeners } = this.topics[name];
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Whether the event has a listener: check it before a payload is built on a hot path. */
  isObserved(name: CacheEventName): boolean {
    return this.topics[name].isObserved;
  }

  /** An object with {@link isObserved} of one event, for a path so hot that the lookup of the event by name counts. */
  observation(name: CacheEventName): { readonly isObserved: boolean } {
    return this.topics[name];
  }

  emit<Name extends CacheEventName>(name: Name, event: CacheEventMap[Name]): void {
    const topic = this.topics[name];
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
    for (const topic of Object.values(this.topics)) {
      topic.listeners.clear();
    }
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
