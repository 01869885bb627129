import type { ResolvedNamespace } from '../config/index.js';
import type { EntryToWrite } from './encode.js';
import {
  type EntryLife,
  entryLife,
  type EntryOptions,
  expectedKeptMs,
  jitteredTtlMs,
  NotKept,
} from './entry-options.js';
import type { Flight } from './flight.js';
import type { FillGrant } from './lease-wait.js';
import type { LoadContext } from './loader-run.js';
import type { WrittenLoad } from './outcomes.js';
import type { Recorder } from './recorder.js';
import type { CacheRuntime } from './runtime.js';
import { type LoadedTags, LoadTags, type TagRegistry } from './tags.js';
import type { EntryWriter } from './write.js';

/** What a loader has returned. */
export interface LoadedValue<T> {
  readonly key: string;
  readonly value: T;
  readonly flight: Flight;
  /** How long the loader took, in milliseconds. */
  readonly loadMs: number;
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
   * @param isPiece as in `HeldStamp.current`
   * @throws RangeError for a TTL that is not a duration
   */
  requestStamps<T>(tags: readonly string[], options: EntryOptions<T> | undefined, isPiece = false): void {
    if (tags.length > 0 && this.runtime.redis !== undefined) {
      this.tags.stamps(tags, expectedKeptMs(this.policy, options), isPiece).catch(() => {});
    }
  }

  /** Reads the tags as they are before the loader starts: see `LoadTags.begin`. */
  beginTags<T>(
    tags: readonly string[],
    options: EntryOptions<T> | undefined,
    grant: FillGrant | undefined,
    isPiece = false,
  ) {
    const keptMs = (): number => expectedKeptMs(this.policy, options);
    return LoadTags.begin(this.runtime, this.tags, tags, grant && keptMs, isPiece);
  }

  /**
   * Stores the loader's result, or releases the lease.
   * @param tags the result of {@link beginTags}
   * @param grant the right to store the result in Redis; without it, only this process keeps the result
   */
  async store<T>(
    loaded: LoadedValue<T>,
    context: LoadContext,
    options: EntryOptions<T> | undefined,
    tags: LoadTags | undefined,
    grant: FillGrant | undefined,
  ): Promise<StoredLoad> {
    let written: WrittenLoad | undefined;
    try {
      const life = this.lifeOf(loaded, context, options);
      const ending = life && tags?.end(context.addedTags, grant !== undefined);
      const loadedTags = ending instanceof Promise ? await ending : ending;
      if (life !== undefined && loadedTags !== undefined) {
        const entry = entryOf(loaded, life, loadedTags, options);
        const writing = this.writer.writeLoaded(entry, grant && grantFor(grant, loadedTags));
        written = writing instanceof Promise ? await writing : writing;
        this.count(entry, written);
      }
    } finally {
      void this.release(grant, written);
    }
    return written ?? this.unkept(loaded, options);
  }

  /** As {@link store}, for several results of one run of a loader. @param onStored called for each of them */
  async storeMany<T, Load extends LoadedValue<T> & { readonly grant: FillGrant | undefined }>(
    loads: readonly Load[],
    context: LoadContext,
    options: EntryOptions<T> | undefined,
    tags: LoadTags | undefined,
    onStored: (load: Load, stored: StoredLoad) => void,
  ): Promise<void> {
    const ending = tags?.end(
      context.addedTags,
      loads.some(({ grant }) => grant !== undefined),
    );
    const loadedTags = ending instanceof Promise ? await ending : ending;
    const releases: Promise<void>[] = [];
    const end = (load: Load, written: WrittenLoad | undefined): void => {
      releases.push(this.release(load.grant, written));
      onStored(load, written ?? this.unkept(load, options));
    };
    const kept = loads.flatMap((load) => {
      const life = this.lifeOf(load, context, options);
      if (life === undefined || loadedTags === undefined) {
        end(load, undefined);
        return [];
      }
      const grant = load.grant && grantFor(load.grant, loadedTags);
      return [{ load, entry: entryOf(load, life, loadedTags, options), grant }];
    });
    await this.writer.writeManyLoaded(kept, ({ load, entry }, written) => {
      this.count(entry, written);
      end(load, written);
    });
    await Promise.all(releases);
  }

  /** The life of a result; `undefined` if it is not kept. */
  private lifeOf<T>(
    { key, value, flight }: LoadedValue<T>,
    context: LoadContext,
    options: EntryOptions<T> | undefined,
  ): EntryLife | undefined {
    if (context.isSkipped || (flight.isTainted && !flight.isDoubted)) {
      return undefined;
    }
    const decided = entryLife(value, this.policy, options, context.chosenTtl);
    if (decided instanceof NotKept) {
      this.recorder.notKept(key, decided);
      return undefined;
    }
    return { ttlMs: jitteredTtlMs(decided.ttlMs, this.runtime.random), graceMs: decided.graceMs };
  }

  private unkept<T>({ value }: LoadedValue<T>, options: EntryOptions<T> | undefined): StoredLoad {
    return { stored: this.writer.values.unkept(value, options?.values), kept: false };
  }

  private count({ key, life }: EntryToWrite, { kept, complete, superseded }: WrittenLoad): void {
    if (superseded) {
      this.recorder.leaseLost();
    }
    if (kept) {
      this.recorder.set(key, life.ttlMs, complete);
    }
  }

  /**
   * Ends the lease of a load. Does not reject.
   * @param written the outcome of its write; absent when its result is not kept
   */
  private async release(grant: FillGrant | undefined, written: WrittenLoad | undefined): Promise<void> {
    grant?.lease.stopRenewing();
    if (written?.complete !== true) {
      // Superseded: the lease is gone already, and other calls may wait for another load that is under way.
      await (written?.superseded === true ? grant?.lease.release() : grant?.lease.releaseUnfilled());
    }
  }
}

type StoredLoad = Pick<WrittenLoad, 'stored' | 'kept'>;

/** Without a spread: it would cost as much as a twentieth of the load. */
function entryOf<T>(
  { key, value, flight, loadMs }: LoadedValue<T>,
  life: EntryLife,
  { names: tags, tagVersions }: LoadedTags,
  options: EntryOptions<T> | undefined,
): EntryToWrite {
  const { values, flatten } = options ?? NO_OPTIONS;
  return { key, value, life, flight, loadMs, tags, tagVersions, check: flight.check, values, flatten };
}

const NO_OPTIONS: EntryOptions<never> = Object.freeze({});

function grantFor(grant: FillGrant, { stamps }: LoadedTags): FillGrant {
  return stamps.length === 0 ? grant : { lease: grant.lease, stamps: [...grant.stamps, ...stamps] };
}
