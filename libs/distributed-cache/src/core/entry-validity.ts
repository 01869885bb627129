import { stampNamed, type Stamp } from '../codec/index.js';
import type { KeyLayout } from '../keys/index.js';
import type { TagVersion } from '../local/index.js';
import type { RedisEntry } from '../redis/index.js';
import type { RedisRuntime } from './runtime.js';
import type { RemoteLookup } from './remote-outcomes.js';
import { CLEAR, stampedAtMs } from './stamps.js';
import type { TagRegistry } from './tags.js';

/** Decides whether an entry in Redis is current. */
export class EntryValidity {
  private clearStamp: string | undefined;
  private stamps: readonly Stamp[] = [];

  constructor(
    private readonly redis: RedisRuntime,
    private readonly layout: KeyLayout,
    private readonly tags: TagRegistry,
    /** The stamps that every entry carries in addition: the version of its namespace. */
    private readonly ownStamps: readonly Stamp[],
  ) {}

  /** The stamps that an entry must carry, apart from those of its tags. */
  stampsUnder(clearStamp: string): readonly Stamp[] {
    if (this.clearStamp !== clearStamp) {
      this.clearStamp = clearStamp;
      this.stamps = [[CLEAR, clearStamp], ...this.ownStamps];
    }
    return this.stamps;
  }

  /**
   * Whether an entry is current: it carries the current stamp of its namespace and of each of its tags.
   * @param wasJournalled the result of {@link isJournalled} when Redis was asked. Since then the journal may have
   * been replayed, and the entry may be one that Redis has deleted meanwhile
   */
  lookupOf(
    key: string,
    entry: RedisEntry | undefined,
    clearStamp: string,
    wasJournalled: boolean,
  ): RemoteLookup | Promise<RemoteLookup> {
    const stamps = this.stampsUnder(clearStamp);
    // remedy: journalled-before-read
    const isJournalled = wasJournalled || this.isJournalled(key);
    if (entry === undefined || isJournalled || !this.isOfStamp(entry, clearStamp)) {
      return { state: 'miss', stamps };
    }
    const tags = tagsOf(entry.header.stamps);
    return tags === undefined ? this.found(key, entry, stamps, undefined) : this.checkTags(key, entry, stamps, tags);
  }

  private async checkTags(
    key: string,
    entry: RedisEntry,
    stamps: readonly Stamp[],
    tags: readonly string[],
  ): Promise<RemoteLookup> {
    const tagVersions = this.tags.tagVersions(tags); // before asking, so that a change in between is noticed
    const werePending = this.tags.arePending(tags);
    const current = await this.tags.stamps(tags);
    return werePending || this.tags.arePending(tags) || current.some(([name, stamp]) => stampOf(entry, name) !== stamp)
      ? { state: 'miss', stamps }
      : this.found(key, entry, stamps, tagVersions);
  }

  private found(
    key: string,
    entry: RedisEntry,
    stamps: readonly Stamp[],
    tagVersions: readonly TagVersion[] | undefined,
  ): RemoteLookup {
    const { createdAtMs, expiresAtMs } = entry.header;
    const nowMs = this.redis.connection.serverNowMs(this.layout.valueKey(key));
    return {
      state: 'found',
      entry,
      ttlMs: expiresAtMs - nowMs,
      ageMs: Math.max(0, nowMs - createdAtMs),
      stamps,
      tagVersions,
    };
  }

  /**
   * Whether an entry carries the current stamp of the namespace. A value of another program carries no stamp, and may
   * be older than a `clear()`: it counts only until the first one. A stamp that was lost (evicted) and made anew counts
   * as a `clear()`, as long as one process remembers it.
   */
  private isOfStamp(entry: RedisEntry, clearStamp: string): boolean {
    return entry.isLegacy ? stampedAtMs(clearStamp) === 0 : stampOf(entry, CLEAR) === clearStamp;
  }

  /** Whether the journal holds an invalidation of this key: what Redis may hold is then a miss, and will be deleted. */
  isJournalled(key: string): boolean {
    const { journal } = this.redis;
    return journal.size > 0 && journal.covers(this.layout.clearStampKey, this.layout.valueKey(key));
  }

  /** The keys for which {@link isJournalled} is true. */
  journalledOf(keys: readonly string[]): ReadonlySet<string> {
    return this.redis.journal.size > 0 ? new Set(keys.filter((key) => this.isJournalled(key))) : NONE;
  }
}

const NONE: ReadonlySet<string> = new Set();

/**
 * The names of the tags among the stamps; `undefined` when there is none, which is the usual case: nothing is allocated
 * then.
 */
export function tagsOf(stamps: readonly Stamp[]): string[] | undefined {
  let tags: string[] | undefined;
  for (const stamp of stamps) {
    const name = stamp[0];
    if (!name.startsWith('#')) {
      (tags ??= []).push(name);
    }
  }
  return tags;
}

function stampOf({ header }: RedisEntry, wanted: string): string | undefined {
  return stampNamed(header.stamps, wanted);
}
