import type { Stamp } from '../codec/index.js';
import { CLEAR, type KeyLayout, TAG_STAMP } from '../keys/index.js';
import type { TagVersion, TagScope } from '../local/index.js';
import type { RedisRuntime, CacheRuntime } from './runtime.js';
import { HeldStamp, stampedAtMs, type StampVerdict, INVALIDATED_MS } from './stamps.js';
import type { RedisTier } from '../redis/index.js';

interface Tag {
  readonly name: string;
  /** The generation changes when the tag is invalidated: copies in L1 that depend on it become misses at once. */
  readonly scope: TagScope;
  /** Its stamp in Redis; absent when no Redis is configured. */
  readonly stamp: HeldStamp | undefined;
  /** When this process last invalidated the tag or learned of its invalidation, on its own clock. */
  changedAtMs: number;
  /** When the last message about it arrived, on this process's clock. */
  messageAtMs: number;
}

/**
 * Maximum number of tags remembered per namespace; beyond it one is forgotten, and with it the copies in L1 that depend
 * on it.
 */
const MAX_TAGS = 20_000;

/**
 * The tags of one namespace. An entry carries the stamp of each of its tags, read before its load began.
 * `invalidateTags` stores a new stamp, and every entry with the old one is a miss, in every process and in O(1). Tags
 * are stored by their encoded names, which never begin with `#`.
 */
export class TagRegistry {
  private readonly tags = new Map<string, Tag>();
  /** The names of the tags as a list, from which one is chosen at random. */
  private readonly names: string[] = [];
  private nextToTouch = 0;
  /** When one of the forgotten tags was last invalidated here. */
  private forgottenChangeAtMs = -Infinity;

  constructor(
    private readonly redis: RedisRuntime | undefined,
    private readonly layout: KeyLayout,
    private readonly nowMs: () => number,
    /** Called at once when a tag is invalidated, here or elsewhere. */
    private readonly onInvalidated: (name: string) => void = () => {},
    /** Called when a tag is forgotten because there are too many. */
    private readonly onForgotten: () => void = () => {},
  ) {}

  /** The present generations of the tags, for a value whose making begins now. */
  tagVersions(names: readonly string[]): readonly TagVersion[] | undefined {
    return names.length === 0
      ? undefined
      : names.map((name) => {
          const { scope } = this.tag(name);
          return { scope, generation: scope.generation };
        });
  }

  /** The state of a tag, if the tag is remembered. */
  scopeOf(name: string): TagScope | undefined {
    return this.tags.get(name)?.scope;
  }

  /** The name of the tag with this state, if the tag is remembered. Searches all tags. */
  nameOf(scope: TagScope): string | undefined {
    for (const [name, tag] of this.tags) {
      if (tag.scope === scope) {
        return name;
      }
    }
    return undefined;
  }

  /**
   * The current stamps of these tags in Redis.
   * @param guardMs the life of an entry that is to be stored under them, in milliseconds.
   * @param isPiece as in `HeldStamp.current`
   * @throws the tier's errors
   */
  stamps(names: readonly string[], guardMs?: number, isPiece = false): Promise<Stamp[]> {
    return Promise.all(
      names.map(async (name): Promise<Stamp> => {
        const { stamp } = this.tag(name);
        const current = (await stamp?.current(guardMs, isPiece)) ?? '';
        if (guardMs !== undefined) {
          stamp?.guard(guardMs);
        }
        return [name, current];
      }),
    );
  }

  /** Extends the lives of these tags' stamps: an entry that Redis keeps for `guardMs` is about to be stored under them. */
  guard(names: readonly string[], guardMs: number): void {
    names.forEach((name) => this.tag(name).stamp?.guard(guardMs));
  }

  /** Some of the stamps that are held, by name: others with each call. */
  someHeld(limit: number): ReadonlyMap<string, HeldStamp> {
    const held = new Map<string, HeldStamp>();
    const attempts = Math.min(this.names.length, 2 * limit);
    for (let attempt = 0; attempt < attempts && held.size < limit; attempt++) {
      this.nextToTouch = (this.nextToTouch + 1) % this.names.length;
      const name = this.names[this.nextToTouch] ?? '';
      const stamp = this.tags.get(name)?.stamp;
      if (stamp?.held !== undefined) {
        held.set(name, stamp);
      }
    }
    return held;
  }

  /** Whether this process knows that one of the tags was invalidated at or after that moment. */
  haveChangedSince(names: readonly string[], sinceMs: number): boolean {
    return names.some((name) => this.tag(name).changedAtMs >= sinceMs);
  }

  /**
   * Whether the tag may have got this stamp at or after that moment of this process's clock. The stamp's time is only
   * as exact as two processes know the server's clock: in doubt the answer is true.
   */
  mayBeSince(sinceMs: number, [name, stamp]: Stamp): boolean {
    const { redis, layout } = this;
    if (redis === undefined || this.tag(name).stamp?.hasSeenBefore(stamp, sinceMs) === true) {
      return false;
    }
    const stampKey = layout.tagStampKey(name);
    const { connection } = redis;
    // remedy: load-begin-minus-clock-error
    const earliestNowMs = connection.serverNowMs(stampKey) - connection.serverErrorMs(stampKey);
    return stampedAtMs(stamp) >= Math.floor(earliestNowMs - (this.nowMs() - sinceMs));
  }

  /**
   * Invalidates a tag, here at once.
   * @throws the tier's errors; the invalidation is then journalled, and done when Redis can be asked
   */
  async invalidate(name: string): Promise<void> {
    const tag = this.tag(name);
    this.applyInvalidation(tag);
    try {
      // remedy: invalidation-replaces-stamp
      await tag.stamp?.replace();
    } catch (error) {
      this.redis?.journal.addTag(this.layout.clearStampKey, this.layout.tagStampKey(name), tag.stamp?.attempted);
      throw error;
    } finally {
      this.applyInvalidation(tag);
    }
  }

  /**
   * Handles a message about a tag's stamp: another process has stored a new one, or the stamp lives longer now, has
   * expired or was evicted. Copies in L1 do not answer until the next read of the stamp says which (`StampVerdict`). If
   * no stamp has been read there is nothing to compare with, and no copy from Redis.
   */
  onMessage(name: string): void {
    const tag = this.tags.get(name);
    if (tag === undefined) {
      return;
    }
    tag.stamp?.doubt();
    if (tag.stamp?.hasSeen === true) {
      tag.messageAtMs = this.nowMs();
      // remedy: tag-in-doubt
      tag.scope.isInDoubt = true;
    } else {
      tag.scope.generation++; // copies that Redis does not know of: loaded while it gave no leases
    }
  }

  /**
   * Finds out whether the tag of a message was invalidated; if that can't be found out, it counts as invalidated. Never
   * rejects.
   */
  async confirm(name: string): Promise<void> {
    const tag = this.tags.get(name);
    try {
      await tag?.stamp?.current();
    } catch {
      if (tag?.scope.isInDoubt === true) {
        this.applyInvalidation(tag);
      }
    }
  }

  /** Any stamp may have changed. */
  forgetStamps(): void {
    for (const { stamp } of this.tags.values()) {
      stamp?.doubt();
    }
  }

  /** Whether the invalidation of one of these tags is pending. */
  arePending(names: readonly string[]): boolean {
    const { redis, layout } = this;
    return (
      redis !== undefined &&
      redis.journal.size > 0 &&
      names.some((name) => redis.journal.coversTag(layout.clearStampKey, layout.tagStampKey(name)))
    );
  }

  private applyInvalidation(tag: Tag, atMs = this.nowMs()): void {
    tag.scope.generation++;
    tag.scope.isInDoubt = false;
    tag.changedAtMs = Math.max(tag.changedAtMs, atMs);
    this.onInvalidated(tag.name);
  }

  private onVerdict(tag: Tag, verdict: StampVerdict): void {
    if (verdict === 'changed') {
      // The message came before this read: a load that began in between has begun after the invalidation.
      this.applyInvalidation(tag, tag.scope.isInDoubt === true ? tag.messageAtMs : undefined);
    } else {
      if (verdict === 'lapsed') {
        tag.scope.generation++;
      }
      tag.scope.isInDoubt = false;
    }
  }

  private tag(name: string): Tag {
    let tag = this.tags.get(name);
    if (tag === undefined) {
      tag = this.newTag(name);
      this.tags.set(name, tag);
      this.names[this.names.length < MAX_TAGS ? this.names.length : this.forgetOne()] = name;
    }
    return tag;
  }

  private newTag(name: string): Tag {
    const { redis, layout } = this;
    const scope = { generation: 0, isInDoubt: false };
    const tag: Tag = {
      name,
      scope,
      stamp:
        redis === undefined
          ? undefined
          : new HeldStamp(redis.stamps, layout.tagStampKey(name), true, (verdict) => this.onVerdict(tag, verdict)),
      changedAtMs: redis === undefined ? this.forgottenChangeAtMs : -Infinity,
      messageAtMs: -Infinity,
    };
    return tag;
  }

  /**
   * Forgets a tag. Later messages about it would have no effect, so the copies that depend on it are dropped first. The
   * tag is a random one. If it were the least recently used one, and an application used a few more tags than the maximum
   * in turn, each tag would be forgotten before its next use.
   * @returns its index among the names
   */
  private forgetOne(): number {
    const index = Math.floor(Math.random() * this.names.length);
    const name = this.names[index] ?? '';
    const tag = this.tags.get(name);
    if (tag !== undefined) {
      tag.scope.generation++;
      this.forgottenChangeAtMs = Math.max(this.forgottenChangeAtMs, tag.changedAtMs);
      this.tags.delete(name);
      this.onForgotten();
    }
    return index;
  }
}

/** The tags of a loaded value, as it is stored. */
export interface LoadedTags {
  readonly names: readonly string[];
  readonly tagVersions: readonly TagVersion[] | undefined;
  readonly stamps: readonly Stamp[];
}

/**
 * The tags of one load, as they were when it began: an invalidation during the load makes its result a miss. The stamp
 * of a tag that the loader adds could not be read before the load. For such tags the time decides: if one was
 * invalidated after the load began, the result is not kept.
 */
export class LoadTags implements LoadedTags {
  readonly tagVersions: readonly TagVersion[] | undefined;
  private readonly startedAtMs: number;

  private constructor(
    private readonly registry: TagRegistry,
    readonly names: readonly string[],
    readonly stamps: readonly Stamp[],
    private readonly runtime: CacheRuntime,
  ) {
    this.tagVersions = registry.tagVersions(names);
    this.startedAtMs = runtime.clock.nowMs();
  }

  /**
   * Reads the stamps of the tags; to be called before the loader.
   * @param keptMs how long Redis will probably keep the result, in milliseconds; absent when it is not to be stored
   * there
   * @param isPiece as in `HeldStamp.current`
   * @returns a promise only where stamps are read; it resolves to `undefined` if they can't be: the result can't be kept
   */
  static begin(
    runtime: CacheRuntime,
    registry: TagRegistry,
    names: readonly string[],
    keptMs: (() => number) | undefined,
    isPiece: boolean,
  ): LoadTags | Promise<LoadTags | undefined> {
    const make = (stamps: readonly Stamp[]): LoadTags => new LoadTags(registry, names, stamps, runtime);
    return keptMs === undefined || names.length === 0
      ? make([])
      : registry.stamps(names, keptMs(), isPiece).then(make, () => undefined);
  }

  /**
   * Completes the tags after the loader has run.
   * @param added the tags that the loader added
   * @returns `undefined` if one of those was invalidated while it ran, or if its stamp can't be read; a promise only where
   * the loader has added tags
   */
  end(added: readonly string[], needsStamps: boolean): LoadedTags | Promise<LoadedTags | undefined> {
    const { names } = this;
    const further = added.length === 0 ? added : added.filter((name) => !names.includes(name));
    return further.length === 0 ? this : this.endWith(further, needsStamps).catch(() => undefined);
  }

  private async endWith(further: readonly string[], needsStamps: boolean): Promise<LoadedTags | undefined> {
    const { registry, names, tagVersions, stamps } = this;
    const furtherVersions = registry.tagVersions(further) ?? [];
    const furtherStamps = needsStamps ? await registry.stamps(further) : [];
    const mayBeInvalidated =
      this.runtime.clock.nowMs() - this.startedAtMs >= INVALIDATED_MS || // the stamp of an invalidation may have expired
      registry.haveChangedSince(further, this.startedAtMs) ||
      furtherStamps.some((stamp) => registry.mayBeSince(this.startedAtMs, stamp));
    // remedy: added-tag-is-checked
    return mayBeInvalidated
      ? undefined
      : {
          names: [...names, ...further],
          tagVersions: [...(tagVersions ?? []), ...furtherVersions],
          stamps: [...stamps, ...furtherStamps],
        };
  }
}

/** Number of stamps of tags that are read again at each heartbeat. */
const TOUCHED_AT_ONCE = 256;

/**
 * Reads the held stamps of a namespace again, some tags at a time: Redis takes a key that is never read for unused, and
 * evicts it first. Never rejects.
 * @param onDifferent receives the encoded keys of those that differ from the held ones, although no message said so
 */
export async function touchStamps(
  tier: RedisTier,
  clearStamp: HeldStamp,
  tags: TagRegistry,
  onDifferent: (encodedKey: string) => void,
): Promise<void> {
  const tagStamps = [...tags.someHeld(TOUCHED_AT_ONCE)].map(([name, stamp]) => ({ key: TAG_STAMP + name, stamp }));
  const held = [{ key: CLEAR, stamp: clearStamp }, ...tagStamps].flatMap(({ key, stamp }) => {
    const { reading } = stamp;
    return reading === undefined ? [] : [{ key, stamp, reading }];
  });
  await Promise.all(
    tier
      .groups(held, ({ stamp }) => stamp.stampKey)
      .map(async (group) => {
        const found = await tier.readStamps(group.map(({ stamp }) => stamp.stampKey)).catch(() => undefined);
        group.forEach(({ key, stamp, reading }, index) => {
          if (found !== undefined && !stamp.confirms(found[index], reading)) {
            onDifferent(key);
          }
        });
      }),
  );
}
