import { LRUCache } from 'lru-cache';
import type { EvictionPolicy, Request } from './policy.js';

/** lru-cache as the library's L1 uses it: a bound in bytes, the expiry in the entry. */
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
