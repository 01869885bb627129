import type { AnsweringTier, CacheEventMap } from '../events/index.js';
import { hitMember, missMember, NO_LOOKUP } from './cache-status.js';

type Hit = CacheEventMap['hit'];
type Miss = CacheEventMap['miss'];

/** Maximum number of lookups that `Cache-Status` lists: a header is not a log. */
const MAX_MEMBERS = 8;

/**
 * The use of the cache by one request: how many lookups were answered by which tier, and the `Cache-Status` value for
 * them. It is updated by the `hit` and `miss` events that the request causes. It keeps no key.
 */
export class RequestCacheUsage {
  /** Lookups that L1 of this process answered. */
  localHits = 0;
  /** Lookups that Redis answered. */
  redisHits = 0;
  /** Hits past their TTL, within their grace. Part of the hits. */
  staleHits = 0;
  /** Lookups that no tier answered. */
  misses = 0;
  private status = '';

  hit(hit: Pick<Hit, 'namespace' | 'tier' | 'state' | 'ttlMs'>): void {
    if (this.lookups < MAX_MEMBERS) {
      this.tell(hitMember(hit));
    }
    this.count(hit.tier);
    if (hit.state === 'stale') {
      this.staleHits++;
    }
  }

  miss(miss: Pick<Miss, 'namespace' | 'stale' | 'collapsed' | 'stored'>): void {
    if (this.lookups < MAX_MEMBERS) {
      this.tell(missMember(miss));
    }
    this.misses++;
  }

  get hits(): number {
    return this.localHits + this.redisHits;
  }

  get lookups(): number {
    return this.hits + this.misses;
  }

  /** Whether the cache answered every lookup of the request; false when there was none. */
  get isFullyCached(): boolean {
    return this.hits > 0 && this.misses === 0;
  }

  /**
   * The value of the `Cache-Status` header (RFC 9211): one member per lookup, in their order, the first eight at most.
   * The namespace is the cache's name; TTLs are whole seconds (negative: past it). Never a key.
   */
  toCacheStatus(): string {
    return this.status === '' ? NO_LOOKUP : this.status;
  }

  private count(tier: AnsweringTier): void {
    if (tier === 'local') {
      this.localHits++;
    } else {
      this.redisHits++;
    }
  }

  private tell(member: string): void {
    this.status = this.status === '' ? member : `${this.status}, ${member}`;
  }
}
