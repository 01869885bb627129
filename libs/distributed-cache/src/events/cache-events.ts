import { channel, type Channel } from 'node:diagnostics_channel';
import type { CacheEventMap, CacheEventName } from './cache-event-map.js';

export type CacheEventListener<Name extends CacheEventName> = (event: CacheEventMap[Name]) => void;

/** Every event is also published on the diagnostics channel of this prefix plus the event's name. */
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
 * What the cache tells its listeners (logs, metrics, your own). Listeners run at once, in the order they came; one
 * that throws, or whose promise rejects, is reported as a process warning, once per listener, and disturbs neither the
 * cache nor the other listeners. Nobody waits for a listener's promise.
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

  /** @returns a function that takes the listener away again */
  on<Name extends CacheEventName>(name: Name, listener: CacheEventListener<Name>): () => void {
    const { listeners } = this.topics[name];
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Whether anybody listens: ask before building a payload on a hot path. */
  isObserved(name: CacheEventName): boolean {
    return this.topics[name].isObserved;
  }

  /** As {@link isObserved}, for a path so hot that looking the event up counts. */
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

  /** Takes all listeners away. */
  removeAll(): void {
    for (const topic of Object.values(this.topics)) {
      topic.listeners.clear();
    }
  }

  /** By the error's name only: its message could hold anything. */
  private report(name: CacheEventName, listener: object, error: unknown): void {
    if (this.reported.has(listener)) {
      return;
    }
    this.reported.add(listener);
    const what = error instanceof Error ? error.name : typeof error;
    process.emitWarning(`A listener of the cache event "${name}" threw ${what}`, { code: 'CACHE_LISTENER_THREW' });
  }
}
