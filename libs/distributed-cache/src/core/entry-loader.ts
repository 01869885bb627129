import type { ResolvedNamespace } from '../config/index.js';
import type { AnsweringTier } from '../events/index.js';
import { readStored, type StoredValue } from '../local/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import { entryLife } from './entry-life.js';
import type { EntryOptions, Loader } from './entry-options.js';
import type { EntryReader, FoundEntry } from './entry-reader.js';
import type { EntryWriter } from './entry-writer.js';
import { FlightRegistry, type Flight } from './flight-registry.js';
import { LoadContext } from './load-context.js';
import type { LoadTurns, Turn } from './load-turns.js';
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

type LoadTurn = Extract<Turn, { kind: 'load' }>;

/**
 * Gets a value that L1 does not have fresh: from Redis, else from the loader, whose result goes to Redis and L1. One flight a
 * key in this process, one load a key in the cluster; the loader runs at most once in a flight. If it throws, a stale value
 * still in its grace is the answer, else its error, the same object, reaches every caller.
 */
export class EntryLoader {
  private readonly flights = new FlightRegistry<LoadOutcome>();

  constructor(
    private readonly runtime: CacheRuntime,
    private readonly namespace: ResolvedNamespace,
    private readonly reader: EntryReader,
    private readonly writer: EntryWriter,
    private readonly turns: LoadTurns,
    private readonly recorder: LookupRecorder,
  ) {}

  /** The flight of this key that can be joined, if there is one. */
  running(key: string): Promise<LoadOutcome> | undefined {
    return this.flights.running(key);
  }

  start<T>(key: string, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<LoadOutcome> {
    return this.flights.share(key, async (flight) => {
      const read = await this.reader.read(key);
      if (read.found !== undefined && read.found.ttlMs > 0) {
        return outcomeOf(read.found);
      }
      const turn = await this.turns.next(key, read, flight);
      return turn.kind === 'found' ? outcomeOf(turn.found) : this.load(key, loader, options, turn, flight);
    });
  }

  /** A write in this process: it overtakes the loads of these keys and is overtaken by later writes. */
  overtake<Own>(keys: readonly string[], work: (flights: readonly Flight[]) => Promise<Own>): Promise<Own> {
    return this.flights.overtake(keys, work);
  }

  /** This process has changed the key: loads under way for it are not kept. */
  detach(key: string): void {
    this.flights.detach(key);
    this.turns.wake(key);
  }

  /** Somebody else has changed the key: filled it, if we are waiting for that; else loads under way are not kept. */
  onChanged(key: string): void {
    if (!this.turns.wake(key)) {
      this.flights.detach(key);
    }
  }

  detachAll(): void {
    this.flights.detachAll();
    this.turns.wakeAll();
  }

  private async load<T>(
    key: string,
    loader: Loader<T>,
    options: EntryOptions<T> | undefined,
    { ticket, stale }: LoadTurn,
    flight: Flight,
  ): Promise<LoadOutcome> {
    const { clock, closing } = this.runtime;
    const hadStale = stale !== undefined;
    const context = new LoadContext(closing, stale === undefined ? undefined : readStored(stale.stored));
    const startedAtMs = clock.nowMs();
    let isStored = false;
    ticket?.lease.startRenewing();
    try {
      const value = await this.run(key, loader, context);
      const loadMs = clock.nowMs() - startedAtMs;
      if (context.isSkipped || flight.overtaken || options?.cacheIf?.(value) === false) {
        return { source: 'loader', stored: { value, bytes: 0, copyOnRead: false }, kept: false, hadStale };
      }
      const life = entryLife(value, this.namespace, options, context.chosenTtl);
      const { stored, kept, complete } = await this.writer.writeLoaded({ key, value, life, flight, loadMs }, ticket);
      isStored = complete;
      if (kept) {
        this.recorder.set(key, life.ttlMs, complete);
      }
      return { source: 'loader', stored, kept, hadStale };
    } catch (error) {
      if (stale === undefined || !context.hasFailed) {
        throw error;
      }
      return outcomeOf(stale);
    } finally {
      ticket?.lease.stopRenewing();
      if (!isStored) {
        void ticket?.lease.release();
      }
    }
  }

  private async run<T>(key: string, loader: Loader<T>, context: LoadContext): Promise<T> {
    const { clock } = this.runtime;
    const startedAtMs = clock.nowMs();
    context.hasFailed = true;
    try {
      const value = await loader(context);
      context.hasFailed = false;
      return value;
    } finally {
      this.recorder.load(key, clock.nowMs() - startedAtMs, context.hasFailed);
    }
  }
}

function outcomeOf({ stored, tier, ttlMs }: FoundEntry): LoadOutcome {
  return { source: 'tier', stored, tier, state: ttlMs > 0 ? 'fresh' : 'stale', ttlMs };
}
