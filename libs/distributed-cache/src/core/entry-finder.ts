import { encodeKey, type CacheKey } from '../keys/index.js';
import type { FoundEntry } from './lookup.js';
import type { NamespaceRooms } from './namespace.js';

/** Looks for entries without loading: first in L1, then in Redis. With `enabled: false` it finds none. */
export class EntryFinder {
  constructor(private readonly rooms: NamespaceRooms) {}

  /** The fresh value of a key, counted as a hit or a miss. */
  async fresh(key: CacheKey): Promise<FoundEntry | undefined> {
    const { runtime, reader } = this.rooms;
    const encodedKey = encodeKey(key);
    const local = this.rooms.reader.freshLocal(encodedKey);
    const found =
      local === undefined && runtime.config.enabled ? onlyFresh((await reader.read(encodedKey)).found) : local;
    this.record(key, found);
    return found;
  }

  /**
   * The fresh values of several keys, in one round trip, in the order of `keys`; each is counted as in {@link fresh}.
   */
  async freshMany(keys: readonly CacheKey[]): Promise<(FoundEntry | undefined)[]> {
    const encodedKeys = keys.map(encodeKey);
    const found = encodedKeys.map((key) => this.rooms.reader.freshLocal(key));
    const missing = [...new Set(encodedKeys.filter((_, index) => found[index] === undefined))];
    const reads = this.rooms.runtime.config.enabled ? await this.rooms.reader.readMany(missing) : [];
    const fromRemote = new Map(missing.map((key, index) => [key, onlyFresh(reads[index]?.found)]));
    return keys.map((key, index) => {
      const entry = found[index] ?? fromRemote.get(encodedKeys[index] ?? '');
      this.record(key, entry);
      return entry;
    });
  }

  /** The entry of a key, fresh or stale; not counted as a lookup. */
  async any(encodedKey: string): Promise<FoundEntry | undefined> {
    const { runtime, reader } = this.rooms;
    return (
      this.rooms.reader.freshLocal(encodedKey) ??
      (runtime.config.enabled ? (await reader.read(encodedKey)).found : undefined)
    );
  }

  private record(key: CacheKey, found: FoundEntry | undefined): void {
    const { recorder } = this.rooms;
    if (found === undefined) {
      recorder.miss(key, { stale: false, collapsed: false, stored: false });
    } else {
      recorder.hit(key, found.tier, 'fresh', found.ttlMs);
    }
  }
}

function onlyFresh(found: FoundEntry | undefined): FoundEntry | undefined {
  return found !== undefined && found.ttlMs > 0 ? found : undefined;
}
