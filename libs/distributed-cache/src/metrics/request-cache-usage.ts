import type { AnsweringTier, CacheEventMap } from '../events/index.js';

type Hit = CacheEventMap['hit'];
type Miss = CacheEventMap['miss'];

/** Maximum number of lookups that `Cache-Status` lists: a header is not a log. */
const MAX_MEMBERS = 8;

/** The `Cache-Status` of a request without any lookup. */
const NO_LOOKUP = 'distributed-cache; fwd=bypass';

/** A structured field token begins with a letter (or `*`); any other name of a namespace is written as a string. */
const TOKEN = /^[A-Za-z][A-Za-z0-9_.-]*$/;

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

  /** Adds a lookup that a tier answered. */
  hit(hit: Pick<Hit, 'namespace' | 'tier' | 'state' | 'ttlMs'>): void {
    if (this.lookups < MAX_MEMBERS) {
      this.append(hitMember(hit));
    }
    this.count(hit.tier);
    if (hit.state === 'stale') {
      this.staleHits++;
    }
  }

  /** Adds a lookup that no tier answered. */
  miss(miss: Pick<Miss, 'namespace' | 'stale' | 'collapsed' | 'stored'>): void {
    if (this.lookups < MAX_MEMBERS) {
      this.append(missMember(miss));
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

  private append(member: string): void {
    this.status = this.status === '' ? member : `${this.status}, ${member}`;
  }
}

/** The member of a `Cache-Status` list (RFC 9211 section 2) for a hit; its TTL is in whole seconds. */
function hitMember({ namespace, tier, ttlMs }: Pick<CacheEventMap['hit'], 'namespace' | 'tier' | 'ttlMs'>): string {
  return `${nameOf(namespace)}; hit; ttl=${Math.floor(ttlMs / 1000)}; detail=${tier}`;
}

/**
 * The member of a `Cache-Status` list (RFC 9211 section 2) for a miss: why it was one, whether its result was stored,
 * and whether the call joined the load of another call.
 */
function missMember({
  namespace,
  stale,
  stored,
  collapsed,
}: Pick<CacheEventMap['miss'], 'namespace' | 'stale' | 'stored' | 'collapsed'>): string {
  const reason = stale ? 'stale' : 'miss';
  return `${nameOf(namespace)}; fwd=${reason}${stored ? '; stored' : ''}${collapsed ? '; collapsed' : ''}`;
}

/**
 * The namespace as a member's name.
 * @param namespace letters, digits, `_`, `.`, `-`, so nothing in it needs an escape
 */
function nameOf(namespace: string): string {
  return TOKEN.test(namespace) ? namespace : `"${namespace}"`;
}
