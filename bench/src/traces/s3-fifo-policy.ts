import type { EvictionPolicy, Request } from './policies.js';
import { fingerprint } from './w-tiny-lfu-policy.js';

interface Entry {
  readonly key: string;
  readonly bytes: number;
  readonly print: number;
  expiresAtMs: number;
  /** Hits since the policy last considered the entry for eviction, at most `MAX_USES`. */
  uses: number;
  isMain: boolean;
}

const MAX_USES = 3;
const SMALL_SHARE = 0.1;

/**
 * S3-FIFO (Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023), with a bound in bytes. A new entry
 * enters a small queue; if it has hits at the end of that queue, it moves to the main queue. A hit increments a counter
 * and moves nothing. The keys that leave the small queue without a hit stay in a list as 32-bit fingerprints; such a key
 * enters the main queue when it is stored again.
 */
export class S3FifoPolicy implements EvictionPolicy {
  private readonly entries = new Map<string, Entry>();
  private readonly small = new Fifo<Entry>();
  private readonly main = new Fifo<Entry>();
  private readonly ghosts = new GhostList();
  private smallBytes = 0;
  private mainBytes = 0;

  constructor(private readonly maxBytes: number) {}

  get usedBytes(): number {
    return this.smallBytes + this.mainBytes;
  }

  request({ key, bytes, ttlMs, atMs }: Request): boolean {
    const entry = this.entries.get(key);
    if (entry !== undefined) {
      entry.uses = Math.min(MAX_USES, entry.uses + 1);
      if (entry.expiresAtMs > atMs) {
        return true;
      }
      entry.expiresAtMs = atMs + ttlMs;
      return false;
    }
    if (bytes <= this.maxBytes) {
      const print = fingerprint(key);
      const isMain = this.ghosts.take(print);
      this.insert({ key, bytes, print, expiresAtMs: atMs + ttlMs, uses: 0, isMain }, atMs);
    }
    return false;
  }

  private insert(entry: Entry, atMs: number): void {
    while (this.usedBytes + entry.bytes > this.maxBytes) {
      this.evictOne(atMs);
    }
    this.entries.set(entry.key, entry);
    this.enqueue(entry);
  }

  private enqueue(entry: Entry): void {
    if (entry.isMain) {
      this.main.push(entry);
      this.mainBytes += entry.bytes;
    } else {
      this.small.push(entry);
      this.smallBytes += entry.bytes;
    }
  }

  private evictOne(atMs: number): void {
    if (this.smallBytes > this.maxBytes * SMALL_SHARE || this.mainBytes === 0) {
      this.leaveSmall(atMs);
    } else {
      this.leaveMain(atMs);
    }
  }

  private leaveSmall(atMs: number): void {
    const entry = this.small.shift();
    if (entry === undefined) {
      return;
    }
    this.smallBytes -= entry.bytes;
    if (entry.expiresAtMs > atMs && entry.uses > 0) {
      entry.uses = 0;
      entry.isMain = true;
      this.enqueue(entry);
    } else {
      this.entries.delete(entry.key);
      this.ghosts.add(entry.print, this.entries.size);
    }
  }

  private leaveMain(atMs: number): void {
    const entry = this.main.shift();
    if (entry === undefined) {
      return;
    }
    this.mainBytes -= entry.bytes;
    if (entry.expiresAtMs > atMs && entry.uses > 0) {
      entry.uses--;
      this.enqueue(entry);
    } else {
      this.entries.delete(entry.key);
    }
  }
}

/** A queue in an array that is copied when half of it is empty: O(1) on average, without an allocation per entry. */
class Fifo<T> {
  private items: T[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    const item = this.items[this.head];
    if (item !== undefined) {
      this.head++;
      if (this.head > 1024 && this.head * 2 > this.items.length) {
        this.items = this.items.slice(this.head);
        this.head = 0;
      }
    }
    return item;
  }
}

/** The keys that were evicted last, as 32-bit FNV-1a fingerprints; at most as many as the cache has entries. */
class GhostList {
  private readonly prints = new Set<number>();
  private readonly order = new Fifo<number>();

  add(print: number, most: number): void {
    if (!this.prints.has(print)) {
      this.prints.add(print);
      this.order.push(print);
    }
    while (this.order.length > most) {
      this.prints.delete(this.order.shift() ?? 0);
    }
  }

  /** Removes the key; its item in `order` stays until it reaches the end. @returns whether the list contained the key */
  take(print: number): boolean {
    return this.prints.delete(print);
  }
}
