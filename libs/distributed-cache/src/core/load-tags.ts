import type { Stamp } from '../codec/index.js';
import type { LocalMark } from '../local/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import { INVALIDATED_MS } from './stamp-book.js';
import type { TagRegistry } from './tag-registry.js';

/** The tags of a loaded value, as it is stored. */
export interface LoadedTags {
  readonly names: readonly string[];
  readonly marks: readonly LocalMark[] | undefined;
  readonly stamps: readonly Stamp[];
}

/**
 * The tags of one load, as they were when it began: an invalidation during the load makes its result a miss. The stamp
 * of a tag that the loader adds could not be read before the load. For such tags the time decides: if one was
 * invalidated after the load began, the result is not kept.
 */
export class LoadTags {
  private readonly marks: readonly LocalMark[] | undefined;
  private readonly startedAtMs: number;

  private constructor(
    private readonly registry: TagRegistry,
    private readonly names: readonly string[],
    private readonly stamps: readonly Stamp[],
    private readonly runtime: CacheRuntime,
  ) {
    this.marks = registry.marks(names);
    this.startedAtMs = runtime.clock.nowMs();
  }

  /**
   * Reads the stamps of the tags; to be called before the loader.
   * @param lifeMs how long the result will probably live in Redis, in milliseconds; absent when it is not to be stored
   * there
   * @throws the tier's errors
   */
  static async begin(
    runtime: CacheRuntime,
    registry: TagRegistry,
    names: readonly string[],
    lifeMs: (() => number) | undefined,
  ): Promise<LoadTags> {
    const isAsked = lifeMs !== undefined && names.length > 0;
    return new LoadTags(registry, names, isAsked ? await registry.stamps(names, lifeMs()) : [], runtime);
  }

  /**
   * Completes the tags after the loader has run.
   * @param added the tags that the loader added
   * @returns `undefined` if one of those was invalidated while it ran
   * @throws the tier's errors
   */
  async end(added: readonly string[], needsStamps: boolean): Promise<LoadedTags | undefined> {
    const { registry, names, marks, stamps } = this;
    const further = added.filter((name) => !names.includes(name));
    if (further.length === 0) {
      return { names, marks, stamps };
    }
    const furtherMarks = registry.marks(further) ?? [];
    const furtherStamps = needsStamps ? await registry.stamps(further) : [];
    const isOvertaken =
      this.runtime.clock.nowMs() - this.startedAtMs >= INVALIDATED_MS || // the stamp of an invalidation may have expired
      registry.haveChangedSince(further, this.startedAtMs) ||
      furtherStamps.some((stamp) => registry.mayBeSince(this.startedAtMs, stamp));
    return isOvertaken
      ? undefined
      : {
          names: [...names, ...further],
          marks: [...(marks ?? []), ...furtherMarks],
          stamps: [...stamps, ...furtherStamps],
        };
  }
}
