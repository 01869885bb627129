import type { AnsweringTier, CacheEventMap } from '../events/index.js';
import { cacheStatusMember, NO_LOOKUP } from './cache-status.js';

type Hit = CacheEventMap['hit'];
type Miss = CacheEventMap['miss'];

/** The most lookups that `Cache-Status` names: a header is no log. */
const MAX_MEMBERS = 8;

/**
 * What the cache did for one request: how many lookups were answered by which tier, and the `Cache-Status` value that says
 * so. Feed it the `hit` and `miss` events that the request causes. It keeps no key.
 */
export class RequestCacheUsage {
  /** Lookups that this process's memory answered. */
  localHits = 0;
  /** Lookups that Redis answered. */
  redisHits = 0;
  /** Hits past their TTL, served within their grace. Part of the hits. */
  staleHits = 0;
  /** Lookups that no tier answered. */
  misses = 0;
  private readonly members: string[] = [];

  hit({ namespace, tier, state, ttlMs }: Pick<Hit, 'namespace' | 'tier' | 'state' | 'ttlMs'>): void {
    this.count(tier);
    if (state === 'stale') {
      this.staleHits++;
    }
    this.tell(namespace, { hit: true, ttl: Math.floor(ttlMs / 1000), detail: tier });
  }

  miss({ namespace, stale, collapsed, stored }: Pick<Miss, 'namespace' | 'stale' | 'collapsed' | 'stored'>): void {
    this.misses++;
    this.tell(namespace, { fwd: stale ? 'stale' : 'miss', stored, collapsed });
  }

  get hits(): number {
    return this.localHits + this.redisHits;
  }

  get lookups(): number {
    return this.hits + this.misses;
  }

  /** Whether the cache had everything that the request asked it for; false where it asked for nothing. */
  get isFullyCached(): boolean {
    return this.hits > 0 && this.misses === 0;
  }

  /**
   * The value of the `Cache-Status` header (RFC 9211): one member per lookup, in their order, the first eight at most; the
   * namespace is the cache's name, TTLs are whole seconds (negative: past it). Never a key.
   */
  toCacheStatus(): string {
    return this.members.length === 0 ? NO_LOOKUP : this.members.join(', ');
  }

  private count(tier: AnsweringTier): void {
    if (tier === 'local') {
      this.localHits++;
    } else {
      this.redisHits++;
    }
  }

  private tell(namespace: string, parameters: Parameters<typeof cacheStatusMember>[1]): void {
    if (this.members.length < MAX_MEMBERS) {
      this.members.push(cacheStatusMember(namespace, parameters));
    }
  }
}
