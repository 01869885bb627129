import { LRUCache } from 'lru-cache';
import { LocalCache } from 'nestjs-distributed-cache/core';

/** A read of a key that loads and stores the value on a miss. */
export interface Request {
  readonly key: string;
  /** The size of key, value and bookkeeping; the same for each request of a key. */
  readonly bytes: number;
  readonly ttlMs: number;
  readonly atMs: number;
}

/** A cache of bounded size that decides which entries it evicts. */
export interface EvictionPolicy {
  readonly usedBytes: number;
  /** Looks the key up, and stores it if it is missing or expired. @returns whether it was a hit */
  request(request: Request): boolean;
  close?(): void;
}

/** L1 itself, as an application uses it. Its bound is in its own measure: see {@link bytesInL1}. */
export class LocalCachePolicy implements EvictionPolicy {
  private nowMs = 0;
  private readonly cache: LocalCache;

  constructor(maxBytes: number) {
    this.cache = new LocalCache({ maxBytes, values: 'shared', clock: { nowMs: () => this.nowMs } });
  }

  get usedBytes(): number {
    return this.cache.usedBytes;
  }

  request({ key, bytes, ttlMs, atMs }: Request): boolean {
    this.nowMs = atMs;
    if (this.cache.get(key) !== undefined) {
      return true;
    }
    this.cache.set(key, textOf(bytes), { ttlMs });
    return false;
  }

  close(): void {
    this.cache.clear();
  }
}

/** What L1 counts for an entry of this size. */
export function bytesInL1({ key, bytes }: Request): number {
  scale.set(key, textOf(bytes), { ttlMs: 1000 });
  const { usedBytes } = scale;
  scale.clear();
  return usedBytes;
}

const scale = new LocalCache({ maxBytes: 2 ** 32, values: 'shared' });

const texts = new Map<number, string>();

/** One text for each size: a trace of a million entries takes the memory of its sizes. */
function textOf(bytes: number): string {
  const text = texts.get(bytes) ?? 'x'.repeat(bytes);
  texts.set(bytes, text);
  return text;
}

/** Least recently used, with a bound in bytes. */
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

interface SieveEntry {
  readonly key: string;
  readonly bytes: number;
  expiresAtMs: number;
  isVisited: boolean;
  newer: SieveEntry | undefined;
  older: SieveEntry | undefined;
}

/**
 * SIEVE (Zhang et al., NSDI 2024): a queue in the order of insertion, and a hand that moves from its old end to its new
 * one. It clears the marks of the entries that were hit, which keep their places, and evicts the first one without.
 */
export class SievePolicy implements EvictionPolicy {
  usedBytes = 0;
  private readonly entries = new Map<string, SieveEntry>();
  private newest: SieveEntry | undefined;
  private oldest: SieveEntry | undefined;
  private hand: SieveEntry | undefined;

  constructor(private readonly maxBytes: number) {}

  request({ key, bytes, ttlMs, atMs }: Request): boolean {
    const entry = this.entries.get(key);
    if (entry !== undefined) {
      entry.isVisited = true;
      if (entry.expiresAtMs > atMs) {
        return true;
      }
      entry.expiresAtMs = atMs + ttlMs;
      return false;
    }
    if (bytes > this.maxBytes) {
      return false;
    }
    while (this.usedBytes + bytes > this.maxBytes) {
      this.evict(atMs);
    }
    this.add({ key, bytes, expiresAtMs: atMs + ttlMs, isVisited: false, newer: undefined, older: this.newest });
    return false;
  }

  private add(entry: SieveEntry): void {
    if (this.newest !== undefined) {
      this.newest.newer = entry;
    }
    this.newest = entry;
    this.oldest ??= entry;
    this.entries.set(entry.key, entry);
    this.usedBytes += entry.bytes;
  }

  private evict(atMs: number): void {
    let entry = this.hand ?? this.oldest;
    while (entry !== undefined && entry.isVisited && entry.expiresAtMs > atMs) {
      entry.isVisited = false;
      entry = entry.newer ?? this.oldest;
    }
    if (entry !== undefined) {
      this.hand = entry.newer;
      this.remove(entry);
    }
  }

  private remove(entry: SieveEntry): void {
    const { newer, older } = entry;
    if (newer === undefined) {
      this.newest = older;
    } else {
      newer.older = older;
    }
    if (older === undefined) {
      this.oldest = newer;
    } else {
      older.newer = newer;
    }
    this.entries.delete(entry.key);
    this.usedBytes -= entry.bytes;
  }
}

/**
 * Belady's optimum (MIN): it knows the trace, and evicts the entry whose next hit is the farthest. It is the ceiling for
 * entries of one size; with sizes it is a good guess at the ceiling. A request after the TTL is no hit, so it does not
 * count.
 */
export class BeladyPolicy implements EvictionPolicy {
  usedBytes = 0;
  private readonly nextUses: Int32Array;
  private readonly entries = new Map<string, { readonly bytes: number; expiresAtMs: number; nextUse: number }>();
  private readonly farthest = new FarthestFirst();
  private position = -1;

  constructor(
    private readonly maxBytes: number,
    private readonly trace: readonly Request[],
  ) {
    this.nextUses = new Int32Array(trace.length);
    const seen = new Map<string, number>();
    for (let index = trace.length - 1; index >= 0; index--) {
      const { key } = trace[index] as Request;
      this.nextUses[index] = seen.get(key) ?? NEVER;
      seen.set(key, index);
    }
  }

  /** The requests must be those of the trace, in its order. */
  request({ key, bytes, ttlMs, atMs }: Request): boolean {
    this.position++;
    const there = this.entries.get(key);
    const isHit = there !== undefined && there.expiresAtMs > atMs;
    const expiresAtMs = isHit ? there.expiresAtMs : atMs + ttlMs;
    const nextUse = this.nextUses[this.position] as number;
    const isInTime = nextUse !== NEVER && (this.trace[nextUse] as Request).atMs < expiresAtMs;
    if (there === undefined) {
      this.usedBytes += bytes;
    }
    const entry = { bytes, expiresAtMs, nextUse: isInTime ? nextUse : NEVER };
    this.entries.set(key, entry);
    this.farthest.add(key, entry.nextUse);
    while (this.usedBytes > this.maxBytes) {
      const { key: last, nextUse: use } = this.farthest.take();
      const evicted = this.entries.get(last);
      if (evicted !== undefined && evicted.nextUse === use) {
        this.entries.delete(last);
        this.usedBytes -= evicted.bytes;
      }
    }
    return isHit;
  }
}

const NEVER = 2 ** 31 - 1;

/** A heap of keys by their next use, the farthest first. An earlier use of a key stays in it and is passed over. */
class FarthestFirst {
  private readonly heap: { readonly key: string; readonly nextUse: number }[] = [];

  add(key: string, nextUse: number): void {
    const { heap } = this;
    const item = { key, nextUse };
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as typeof item;
      if (above.nextUse >= nextUse) {
        break;
      }
      heap[at] = above;
      at = parent;
    }
    heap[at] = item;
  }

  take(): { readonly key: string; readonly nextUse: number } {
    const { heap } = this;
    const [top] = heap;
    const last = heap.pop();
    if (top === undefined || last === undefined) {
      throw new RangeError('there is no entry left to evict');
    }
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      const right = heap[child + 1];
      const larger = right !== undefined && right.nextUse > (heap[child] as typeof last).nextUse ? child + 1 : child;
      const below = heap[larger] as typeof last;
      if (below.nextUse <= last.nextUse) {
        break;
      }
      heap[at] = below;
      at = larger;
    }
    if (heap.length > 0) {
      heap[at] = last;
    }
    return top;
  }
}
