import { type CacheKey, encodeKey } from '../keys/index.js';
import { MISS, type Found, type FoundEntry, type Lookup } from './outcomes.js';
import { type EntryReader, onlyFresh } from './read.js';
import type { TracedOperation } from '../events/index.js';
import type { Recorder } from './recorder.js';
import type { CacheRuntime } from './runtime.js';

/** The lookups of one namespace that load nothing: each is counted, and reports what it has found. */
export class Lookups<T> {
  constructor(
    private readonly namespace: string,
    private readonly runtime: CacheRuntime,
    private readonly reader: EntryReader,
    private readonly recorder: Recorder,
  ) {}

  /** The entry of a key, fresh or stale, unless a scope of `bypass` or `refresh` passes over it. It is not counted. */
  async find(key: CacheKey, method: string): Promise<FoundEntry | undefined> {
    const encodedKey = encodeKey(key);
    const { scopes, tracing } = this.runtime;
    if (scopes.current?.skips(this.namespace, key) === true) {
      return undefined;
    }
    if (!tracing.isActive('lookup')) {
      return this.reader.any(encodedKey);
    }
    return (
      this.reader.freshLocal(encodedKey) ??
      tracing.trace('lookup', method, this.namespace, [key], async (operation) => {
        const { found } = await this.reader.read(encodedKey);
        return traced(found, operation);
      })
    );
  }

  async lookup(key: CacheKey): Promise<Lookup<T>> {
    return this.counted(key, await this.find(key, 'lookup'));
  }

  /** The fresh value of a key. */
  async get(key: CacheKey): Promise<T | undefined> {
    return this.valueOf(key, onlyFresh(await this.find(key, 'get')));
  }

  /** The fresh values of several keys, in their order. */
  async getMany(keys: readonly CacheKey[]): Promise<(T | undefined)[]> {
    if (this.runtime.scopes.current !== undefined) {
      return Promise.all(keys.map((key) => this.get(key)));
    }
    const found = await this.reader.freshMany(keys.map(encodeKey), (missing, read) =>
      this.runtime.tracing.trace('lookup', 'getMany', this.namespace, missing, async (operation) => {
        const reads = await read();
        if (operation !== undefined) {
          operation.hit = reads.every((result) => onlyFresh(result.found) !== undefined);
        }
        return reads;
      }),
    );
    return keys.map((key, index) => this.valueOf(key, found[index]));
  }

  /** The fresh value of L1, at once, if the caller uses it; only then it is counted. */
  local(key: string, uses: (value: T, ageMs: number) => boolean): Found<T> | undefined {
    const { scopes } = this.runtime;
    const found = scopes.open > 0 && scopes.current !== undefined ? undefined : this.reader.freshLocal(encodeKey(key));
    return found !== undefined && uses(this.reader.values.read(found.stored) as T, found.ageMs)
      ? this.countedHit(key, found)
      : undefined;
  }

  /** Counts the result of a lookup, and returns its value. */
  private valueOf(key: CacheKey, found: FoundEntry | undefined): T | undefined {
    const lookup = this.counted(key, found);
    return lookup.state === 'miss' ? undefined : lookup.value;
  }

  private counted(key: CacheKey, found: FoundEntry | undefined): Lookup<T> {
    if (found === undefined) {
      this.recorder.miss(key, { stale: false, collapsed: false, stored: false });
      return MISS;
    }
    return this.countedHit(key, found);
  }

  private countedHit(key: CacheKey, { tier, ttlMs, ageMs, stored, loadMs }: FoundEntry): Found<T> {
    const state = ttlMs > 0 ? 'fresh' : 'stale';
    this.recorder.hit(key, tier, state, ttlMs, loadMs);
    return { state, value: this.reader.values.read(stored) as T, tier, ageMs, ttlMs };
  }
}

/** Fills in the outcome of a lookup. */
function traced(found: FoundEntry | undefined, operation: TracedOperation | undefined): FoundEntry | undefined {
  if (operation !== undefined) {
    operation.hit = found !== undefined;
    operation.state = found === undefined ? 'missing' : found.ttlMs > 0 ? 'fresh' : 'stale';
    Object.assign(operation, found && { tier: found.tier, ttlMs: found.ttlMs, itemBytes: found.storedBytes });
  }
  return found;
}
