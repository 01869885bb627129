import type { ResolvedNamespace } from '../config/index.js';
import type { AnsweringTier } from '../events/index.js';
import { readStored, type StoredValue } from '../local/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import { entryLife } from './entry-life.js';
import type { EntryOptions, Loader } from './entry-options.js';
import type { EntryReader, ReadResult } from './entry-reader.js';
import type { EntryWriter } from './entry-writer.js';
import { FlightRegistry, type Flight } from './flight-registry.js';
import { LoadContext } from './load-context.js';
import type { LookupRecorder } from './lookup-recorder.js';

/** How a flight ended: a tier had the value, or the loader made it. */
export type LoadOutcome =
  | {
      readonly source: 'tier';
      readonly stored: StoredValue;
      readonly tier: AnsweringTier;
      readonly state: 'fresh' | 'stale';
      readonly ttlMs: number;
    }
  | { readonly source: 'loader'; readonly stored: StoredValue; readonly kept: boolean; readonly hadStale: boolean };

/**
 * Gets a value that L1 does not have fresh: from Redis, else from the loader, whose result goes to Redis and L1. One flight a
 * key in this process; the loader runs at most once in it. If it throws, a stale value still in its grace is the answer,
 * else its error, the same object, reaches every caller.
 */
export class EntryLoader {
  private readonly flights = new FlightRegistry<LoadOutcome>();

  constructor(
    private readonly runtime: CacheRuntime,
    private readonly namespace: ResolvedNamespace,
    private readonly reader: EntryReader,
    private readonly writer: EntryWriter,
    private readonly recorder: LookupRecorder,
  ) {}

  /** The flight of this key that can be joined, if there is one. */
  running(key: string): Promise<LoadOutcome> | undefined {
    return this.flights.running(key);
  }

  start<T>(key: string, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<LoadOutcome> {
    return this.flights.share(key, async (flight) => {
      const read = await this.reader.read(key);
      const { found } = read;
      return found !== undefined && found.ttlMs > 0
        ? { source: 'tier', stored: found.stored, tier: found.tier, state: 'fresh', ttlMs: found.ttlMs }
        : this.load(key, loader, options, read, flight);
    });
  }

  /** A write in this process: it overtakes the loads of these keys and is overtaken by later writes. */
  overtake<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    return this.flights.overtake(keys, work);
  }

  detach(key: string): void {
    this.flights.detach(key);
  }

  detachAll(): void {
    this.flights.detachAll();
  }

  private async load<T>(
    key: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    { found: stale, stamps }: ReadResult,
    flight: Flight,
  ): Promise<LoadOutcome> {
    const { clock, closing } = this.runtime;
    const hadStale = stale !== undefined;
    const context = new LoadContext(closing, stale === undefined ? undefined : readStored(stale.stored));
    const startedAtMs = clock.nowMs();
    let value: T;
    try {
      value = await loader(context);
    } catch (error) {
      this.recorder.load(key, clock.nowMs() - startedAtMs, true);
      if (stale === undefined) {
        throw error;
      }
      return { source: 'tier', stored: stale.stored, tier: stale.tier, state: 'stale', ttlMs: stale.ttlMs };
    }
    const loadMs = clock.nowMs() - startedAtMs;
    this.recorder.load(key, loadMs, false);
    if (context.isSkipped || flight.overtaken || options?.cacheIf?.(value) === false) {
      return { source: 'loader', stored: { value, bytes: 0, copyOnRead: false }, kept: false, hadStale };
    }
    const life = entryLife(value, this.namespace, options, context.chosenTtl);
    const { stored, kept, complete } = await this.writer.write({ key, value, life, flight, loadMs }, stamps);
    if (kept) {
      this.recorder.set(key, life.ttlMs, complete);
    }
    return { source: 'loader', stored, kept, hadStale };
  }
}
