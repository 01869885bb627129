import type { ResolvedNamespace } from '../config/index.js';
import type { StoredValue } from '../local/index.js';
import type { CacheRuntime } from './runtime.js';
import { jitteredTtlMs, entryLife, expectedLifeMs, type EntryOptions } from './entry-options.js';
import type { EntryWriter } from './write.js';
import type { Flight } from './flight.js';
import type { FillGrant } from './lease-wait.js';
import type { LoadContext } from './loader-run.js';
import { LoadTags, type TagRegistry } from './tags.js';
import { unmeasured } from './local-values.js';
import type { Recorder } from './recorder.js';

/** What a loader has returned. */
interface LoadedValue<T> {
  readonly key: string;
  readonly value: T;
  readonly flight: Flight;
  /** How long the loader took, in milliseconds. */
  readonly loadMs: number;
}

interface Filled {
  /** The value in the form that its readers get. */
  readonly stored: StoredValue;
  /** Whether a tier keeps it. */
  readonly isKept: boolean;
}

/** Stores the results of loads, and releases their leases. */
export class LoadFiller {
  constructor(
    private readonly runtime: CacheRuntime,
    private readonly policy: ResolvedNamespace,
    private readonly writer: EntryWriter,
    private readonly tags: TagRegistry,
    private readonly recorder: Recorder,
  ) {}

  /**
   * Requests the stamps of the tags together with the lease, at no further round trip: they are known when the loader
   * starts.
   * @throws RangeError for a TTL that is not a duration
   */
  requestStamps<T>(tags: readonly string[], options: EntryOptions<T> | undefined): void {
    if (tags.length > 0 && this.runtime.redis !== undefined) {
      this.tags.stamps(tags, expectedLifeMs(this.policy, options)).catch(() => {});
    }
  }

  /**
   * Reads the tags as they are before the loader starts.
   * @returns `undefined` if the stamps can't be read: the result can't be kept then
   */
  async beginTags<T>(
    tags: readonly string[],
    options: EntryOptions<T> | undefined,
    grant: FillGrant | undefined,
  ): Promise<LoadTags | undefined> {
    const lifeMs = (): number => expectedLifeMs(this.policy, options);
    return LoadTags.begin(this.runtime, this.tags, tags, grant && lifeMs).catch(() => undefined);
  }

  /**
   * Stores the loader's result, or releases the lease.
   * @param tags the result of {@link beginTags}
   * @param grant the right to store the result in Redis; without it, only this process keeps the result
   * @throws what the functions of the options throw
   */
  async store<T>(
    loaded: LoadedValue<T>,
    context: LoadContext,
    options: EntryOptions<T> | undefined,
    tags: LoadTags | undefined,
    grant: FillGrant | undefined,
  ): Promise<Filled> {
    const { key, value, flight } = loaded;
    let isComplete = false;
    let isSuperseded = false;
    try {
      if (context.isSkipped || flight.isTainted || options?.cacheIf?.(value) === false) {
        return { stored: unmeasured(value), isKept: false };
      }
      const { ttlMs, graceMs } = entryLife(value, this.policy, options, context.chosenTtl);
      const life = { ttlMs: jitteredTtlMs(ttlMs, this.runtime.random), graceMs };
      const loadedTags = await tags?.end(context.addedTags, grant !== undefined).catch(() => undefined);
      if (loadedTags === undefined) {
        return { stored: unmeasured(value), isKept: false };
      }
      const { names, marks, stamps } = loadedTags;
      const { stored, kept, complete, superseded } = await this.writer.writeLoaded(
        { ...loaded, life, tags: names, marks, check: flight.check },
        grant && (stamps.length === 0 ? grant : { lease: grant.lease, stamps: [...grant.stamps, ...stamps] }),
      );
      isComplete = complete;
      isSuperseded = superseded;
      if (superseded) {
        this.recorder.leaseLost();
      }
      if (kept) {
        this.recorder.set(key, life.ttlMs, complete);
      }
      return { stored, isKept: kept };
    } finally {
      grant?.lease.stopRenewing();
      if (!isComplete) {
        // Superseded: the lease is gone already, and other calls may wait for another load that is under way.
        void (isSuperseded ? grant?.lease.release() : grant?.lease.releaseUnfilled());
      }
    }
  }
}
