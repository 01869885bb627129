/** A value of the source, with its version. */
export interface Versioned {
  readonly version: number;
}

interface Acknowledged {
  readonly version: number;
  readonly atMs: number;
  readonly writer: string;
}

const LOAD_MS = 3;
/** How many acknowledgements of a key are kept: more than happen within the longest measurable staleness. */
const MOST_KNOWN = 200;

/**
 * The source behind the caches, which also checks what they return: each key has a version that only grows, and the
 * source records when each invalidation was acknowledged and to which node. A read is stale for as long as a newer
 * version than the returned one had been acknowledged before the read began.
 */
export class VersionedSource {
  loads = 0;
  readonly #versions = new Map<string, number>();
  readonly #acknowledged = new Map<string, Acknowledged[]>();

  current(key: string): number {
    return this.#versions.get(key) ?? 0;
  }

  /** Changes the source. The caller invalidates next, and then calls {@link acknowledge}. */
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

  /**
   * Removes all acknowledgements but the last of each key. A stale read is still found, and counts from the last one.
   */
  forgetAllButLast(keys: readonly string[]): void {
    for (const key of keys) {
      this.#acknowledged.set(key, this.#acknowledged.get(key)?.slice(-1) ?? []);
    }
  }

  /** Reads first and waits afterwards, so that a change may happen in between. */
  async load(key: string): Promise<Versioned> {
    this.loads++;
    const version = this.current(key);
    await new Promise((resolve) => {
      setTimeout(resolve, LOAD_MS);
    });
    return { version };
  }

  /**
   * For how long the answer was out of date when the read began, by the acknowledgements of this node (or of any
   * other).
   */
  staleMs(answer: { key: string; version: number; askedAtMs: number }, isCounted: (writer: string) => boolean): number {
    const { key, version, askedAtMs } = answer;
    const first = this.#acknowledged.get(key)?.find((each) => each.version > version && isCounted(each.writer));
    return first === undefined ? 0 : Math.max(0, askedAtMs - first.atMs);
  }
}
