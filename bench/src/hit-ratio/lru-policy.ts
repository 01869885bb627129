import { LRUCache } from 'lru-cache';
import type { EvictionPolicy, Request } from './policy.js';

/** lru-cache with a bound in bytes and an expiry in each entry: the policy of L1. */
export class LruPolicy implements EvictionPolicy {
  private readonly entries: LRUCache<string, { readonly expiresAtMs: number }>;

  constructor(maxBytes: number) {
    this.entries = new LRUCache({ maxSize: maxBytes });
  }

  get usedBytes(): number {
    return this.entries.calculatedSize;
  }

  request({ key, bytes, ttlMs, atMs }: Request): boolean {
    const entry = this.entries.get(key);
    if (entry !== undefined && entry.expiresAtMs > atMs) {
      return true;
    }
    this.entries.set(key, { expiresAtMs: atMs + ttlMs }, { size: bytes });
    return false;
  }
}
