/** What the cache stands in front of: a value that says which one it is. */
export interface Versioned {
  readonly version: number;
}

interface Acknowledged {
  readonly version: number;
  readonly atMs: number;
  readonly writer: string;
}

const LOAD_MS = 3;
/** How many acknowledgements of a key are kept: more than happen within the longest staleness that is worth a number. */
const MOST_KNOWN = 200;

/**
 * The truth, and the judge of those who read it through caches: each key has a version that only grows, and the source knows
 * when each invalidation was acknowledged and to whom. A read is stale by so long as a newer version than the one it
 * returned had been acknowledged before it was asked.
 */
export class VersionedSource {
  loads = 0;
  readonly #versions = new Map<string, number>();
  readonly #acknowledged = new Map<string, Acknowledged[]>();

  current(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  /** Changes the truth. Whoever does so invalidates next, and then calls {@link acknowledge}. */
  change(key: string): number {
    const version = this.current(key) + 1;
    this.#versions.set(key, version);
    return version;
  }

  acknowledge(key: string, version: number, writer: string): void {
    const known = this.#acknowledged.get(key) ?? [];
    known.push({ version, writer, atMs: performance.now() });
    if (known.length > MOST_KNOWN) {
      known.shift();
    }
    this.#acknowledged.set(key, known);
  }

  /** Forgets all acknowledgements but the last of each key. A stale read is still found, and counts from the last. */
  forgetAllButLast(keys: readonly string[]): void {
    for (const key of keys) {
      this.#acknowledged.set(key, this.#acknowledged.get(key)?.slice(-1) ?? []);
    }
  }

  /** Reads first and takes its time then, so that a change may come between. */
  async load(key: string): Promise<Versioned> {
    this.loads++;
    const version = this.current(key);
    await new Promise((resolve) => {
      setTimeout(resolve, LOAD_MS);
    });
    return { version };
  }

  /** For how long the answer had been out of date when it was asked for, by what this writer (or any other) had acknowledged. */
  staleMs(answer: { key: string; version: number; askedAtMs: number }, isCounted: (writer: string) => boolean): number {
    const { key, version, askedAtMs } = answer;
    const first = this.#acknowledged.get(key)?.find((each) => each.version > version && isCounted(each.writer));
    return first === undefined ? 0 : Math.max(0, askedAtMs - first.atMs);
  }
}
