import type { EvictionPolicy, Request } from './policies.js';

interface Entry {
  readonly key: string;
  readonly bytes: number;
  expiresAtMs: number;
}

const WINDOW_SHARE = 0.01;
const PROTECTED_SHARE = 0.8;

/**
 * W-TinyLFU (Einziger et al., ACM TOS 2017) with a bound in bytes and a window of fixed size: a new entry enters a small
 * LRU. At its end the entry with the higher estimated frequency stays: this one, or the next victim of the main part, a
 * segmented LRU.
 */
export class WTinyLfuPolicy implements EvictionPolicy {
  private readonly window = new Segment();
  private readonly probation = new Segment();
  private readonly protectedPart = new Segment();
  private readonly sketch = new FrequencySketch();

  constructor(private readonly maxBytes: number) {}

  get usedBytes(): number {
    return this.window.bytes + this.probation.bytes + this.protectedPart.bytes;
  }

  request({ key, bytes, ttlMs, atMs }: Request): boolean {
    const { window, probation, protectedPart } = this;
    this.sketch.add(key);
    const segment = [window, protectedPart, probation].find((each) => each.entries.has(key));
    const entry = segment?.entries.get(key);
    if (segment === undefined || entry === undefined) {
      if (bytes <= this.maxBytes) {
        window.add({ key, bytes, expiresAtMs: atMs + ttlMs });
        this.shrink();
      }
      return false;
    }
    const isHit = entry.expiresAtMs > atMs;
    entry.expiresAtMs = isHit ? entry.expiresAtMs : atMs + ttlMs;
    segment.remove(entry);
    (segment === window ? window : protectedPart).add(entry);
    while (protectedPart.bytes > this.maxBytes * PROTECTED_SHARE) {
      probation.add(protectedPart.takeOldest());
    }
    return isHit;
  }

  private shrink(): void {
    const { window, probation, protectedPart } = this;
    const candidates: Entry[] = [];
    while (window.bytes > Math.max(this.maxBytes * WINDOW_SHARE, 1) && window.entries.size > 1) {
      const entry = window.takeOldest();
      candidates.push(entry);
      probation.add(entry);
    }
    for (const candidate of candidates) {
      while (this.usedBytes > this.maxBytes && probation.entries.has(candidate.key)) {
        const victims = probation.entries.size > 1 ? probation : protectedPart;
        const victim = victims.oldest;
        const isAdmitted =
          victim !== undefined && this.sketch.frequency(candidate.key) > this.sketch.frequency(victim.key);
        if (isAdmitted) {
          victims.remove(victim);
        } else {
          probation.remove(candidate);
        }
      }
    }
    while (this.usedBytes > this.maxBytes) {
      [probation, protectedPart, window].find(({ entries }) => entries.size > 0)?.takeOldest();
    }
  }
}

/** An LRU list: a Map in the order of use. */
class Segment {
  readonly entries = new Map<string, Entry>();
  bytes = 0;

  get oldest(): Entry | undefined {
    const [entry] = this.entries.values();
    return entry;
  }

  add(entry: Entry): void {
    this.entries.set(entry.key, entry);
    this.bytes += entry.bytes;
  }

  remove(entry: Entry): void {
    this.entries.delete(entry.key);
    this.bytes -= entry.bytes;
  }

  takeOldest(): Entry {
    const { oldest } = this;
    if (oldest === undefined) {
      throw new RangeError('there is no entry left to evict');
    }
    this.remove(oldest);
    return oldest;
  }
}

const COUNTERS = 2 ** 18;
const MAX_COUNT = 15;
/** After so many requests all counts are halved. */
const SAMPLE = 10 * 2 ** 15;

/** A count-min sketch of four rows, whose counts are halved from time to time. */
class FrequencySketch {
  private readonly counts = new Uint8Array(COUNTERS);
  private added = 0;

  add(key: string): void {
    for (const place of placesOf(key)) {
      this.counts[place] = Math.min(MAX_COUNT, (this.counts[place] as number) + 1);
    }
    if (++this.added === SAMPLE) {
      this.counts.forEach((count, place) => (this.counts[place] = count >> 1));
      this.added = 0;
    }
  }

  frequency(key: string): number {
    return Math.min(...placesOf(key).map((place) => this.counts[place] as number));
  }
}

function placesOf(key: string): readonly number[] {
  const hash = fingerprint(key);
  return [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f].map((seed) => Math.imul(hash ^ seed, seed) >>> 14);
}

/** FNV-1a, 32 bits. */
export function fingerprint(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  return hash | 0;
}
