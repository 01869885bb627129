import type { ResolvedNamespace } from '../config/index.js';
import { type CacheKey, encodeKey } from '../keys/index.js';
import { entryLife, type EntryOptions, tagNames } from './entry-options.js';
import type { Flights } from './flights.js';
import type { Invalidator } from './invalidate.js';
import type { TagRegistry } from './tags.js';
import type { ValueChecks } from './value-check.js';
import type { EntryWriter, WrittenEntry } from './write.js';

/** Stores the values that callers pass to `set` and `setMany`. */
export class EntrySetter {
  constructor(
    private readonly policy: ResolvedNamespace,
    /** Whether the cache is switched on; otherwise the arguments are checked, and nothing is stored. */
    private readonly isEnabled: boolean,
    private readonly flights: Flights,
    private readonly writer: EntryWriter,
    private readonly tags: TagRegistry,
    private readonly checks: ValueChecks,
    private readonly invalidator: Invalidator,
  ) {}

  /** Stores one value. @returns true once Redis has it (or no Redis is configured) */
  async set<T>(key: CacheKey, value: T, options: EntryOptions<T>): Promise<boolean> {
    const { flights, writer } = this;
    const encodedKey = encodeKey(key);
    const life = entryLife(value, this.policy, options);
    const tags = tagNames(options.tags);
    if (!this.isEnabled) {
      return false;
    }
    const marks = this.tags.marks(tags);
    const check = this.checks.of(options);
    const flight = flights.beginWrite(encodedKey);
    let written: WrittenEntry;
    try {
      written = await writer.write({ key: encodedKey, value, life, flight, loadMs: 0, tags, marks, check });
    } finally {
      flights.end(encodedKey, flight);
    }
    const completing = this.invalidator.afterSet(key, encodedKey, life, written);
    if (completing !== undefined) {
      await completing;
    }
    return written.complete;
  }

  /**
   * Stores several values, in one round trip; otherwise like {@link set}.
   * @returns true once Redis has all of them (or no Redis is configured)
   */
  async setMany<T>(entries: ReadonlyMap<CacheKey, T>, options: EntryOptions<T>): Promise<boolean> {
    const tags = tagNames(options.tags);
    const values = [...entries].map(([key, value]) => ({
      key,
      encodedKey: encodeKey(key),
      value,
      life: entryLife(value, this.policy, options),
    }));
    if (!this.isEnabled) {
      return false;
    }
    const encodedKeys = values.map(({ encodedKey }) => encodedKey);
    const marks = this.tags.marks(tags);
    const check = this.checks.of(options);
    const written = await this.flights.write(encodedKeys, (flights) =>
      this.writer.writeMany(
        values.flatMap(({ encodedKey, value, life }, index) => {
          const flight = flights[index];
          return flight === undefined ? [] : [{ key: encodedKey, value, life, flight, loadMs: 0, tags, marks, check }];
        }),
      ),
    );
    for (const [index, { key, encodedKey, life }] of values.entries()) {
      const entry = written[index];
      if (entry !== undefined) {
        await this.invalidator.afterSet(key, encodedKey, life, entry);
      }
    }
    return written.every(({ complete }) => complete);
  }
}
