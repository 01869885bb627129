import { type CacheKey, encodeKey } from '../keys/index.js';
import { REAL_TIME, WaitBudget } from '../redis/index.js';
import { type EntryOptions, hasOwnKey } from './entry-options.js';
import type { Flight, LoadFacts } from './flight.js';
import type { Flights } from './flights.js';
import type { FillGrant, GrantedLoad, LeaseQueue, LoadDecision } from './lease-wait.js';
import type { LoadCoordinator } from './load.js';
import { allowsStale, countOutcome, hasLimits } from './load-delivery.js';
import type { LoadFiller } from './load-filler.js';
import { LoadContext, loadScopes } from './loader-run.js';
import { type LoadOutcome, outcomeOf } from './outcomes.js';
import { type EntryReader, onlyFresh } from './read.js';
import type { Recorder } from './recorder.js';
import { WRITE_PIECE } from './remote-tier.js';
import type { CacheRuntime } from './runtime.js';
import type { LoadTags } from './tags.js';

/** The parts of a namespace that its loads need. */
export interface LoadParts {
  readonly namespace: string;
  readonly runtime: CacheRuntime;
  readonly flights: Flights;
  readonly reader: EntryReader;
  readonly leases: LeaseQueue;
  readonly filler: LoadFiller;
  readonly loads: LoadCoordinator;
  readonly recorder: Recorder;
}

/** The load of one key of a batch. Until the loader of the batch has run, this and its flight are all that a key takes. */
export interface GroupedLoad {
  /** The place of the key in its batch. */
  readonly index: number;
  readonly key: CacheKey;
  readonly encodedKey: string;
  readonly flight: Flight;
  grant: FillGrant | undefined;
  /** Whether it waits for the loader of the batch. */
  isWaiting: boolean;
  isEnded: boolean;
}

/** Receives what becomes of the loads: each ends with a value or an error, some after they were missing. */
export interface GroupListener<T> {
  /** No tier has the value: the loader must run. */
  onMissing(load: GroupedLoad): void;
  onValue(load: GroupedLoad, value: T): void;
  onError(load: GroupedLoad, error: unknown): void;
}

/** One run of the loader of a batch, for several loads. */
export interface GroupRun<T> {
  readonly values: T[];
  readonly context: LoadContext;
  readonly tags: LoadTags | undefined;
  /** How long the loader took, in milliseconds. */
  readonly loadMs: number;
}

/**
 * The loads of one `getOrSetMany`. Each goes through the steps of a single load (see `LoadCoordinator`), but each step
 * is one request to Redis for several keys, and no promise waits for a key while the others are looked up and loaded.
 */
export class GroupedLoads<T> {
  private readonly encodedKeys: readonly string[];
  private readonly facts: LoadFacts;
  /** Whether its stamps are waited for as long as its pieces. */
  private readonly isBatch: boolean;

  private constructor(
    private readonly parts: LoadParts,
    private readonly keys: readonly CacheKey[],
    private readonly options: EntryOptions<T> | undefined,
  ) {
    this.encodedKeys = keys.map(encodeKey);
    this.facts = parts.loads.factsOf(options);
    this.isBatch = keys.length > WRITE_PIECE.maxItems;
  }

  /**
   * @returns `undefined` where each key needs the path of a single call: with limits of the call, in a loader, a scope
   * of `bypass` or `refresh`, while lookups are traced
   * @throws RangeError for a TTL or grace that is not a duration, CacheKeyError for a key or a tag
   */
  static of<T>(
    parts: LoadParts,
    keys: readonly CacheKey[],
    options: EntryOptions<T> | undefined,
  ): GroupedLoads<T> | undefined {
    const { config, scopes, tracing } = parts.runtime;
    const isPlain = options === undefined || !(hasLimits(options) || options.refresh === true || hasOwnKey(options));
    const isInScope = scopes.current !== undefined || loadScopes.current !== undefined;
    return !isPlain || isInScope || !config.enabled || tracing.isActive('lookup') || tracing.isActive('load')
      ? undefined
      : new GroupedLoads<T>(parts, keys, options);
  }

  /**
   * Begins the load of the key at this place.
   * @returns `undefined` if L1 has it, or a load is under way: the key takes the path of a single call
   */
  begin(index: number): GroupedLoad | undefined {
    const { namespace, flights, reader, recorder } = this.parts;
    const [key = '', encodedKey = ''] = [this.keys[index], this.encodedKeys[index]];
    if (flights.joinable(encodedKey) !== undefined || reader.freshLocal(encodedKey) !== undefined) {
      return undefined;
    }
    recorder.rememberCaller(key);
    const flight = flights.beginLoad(encodedKey);
    flight.describe(`${namespace}:${encodedKey}`, this.facts);
    flight.addCall(undefined);
    return { index, key, encodedKey, flight, grant: undefined, isWaiting: false, isEnded: false };
  }

  /** Looks up the keys of loads that have begun, and acquires the leases of those that are missing. Never rejects. */
  async lookUp(loads: readonly GroupedLoad[], listener: GroupListener<T>): Promise<void> {
    const { reader, leases, filler } = this.parts;
    try {
      const reads = await reader.readFor(loads);
      const isMissing = (_: unknown, index: number): boolean => onlyFresh(reads[index]?.found) === undefined;
      for (const [index, load] of loads.entries()) {
        const found = onlyFresh(reads[index]?.found);
        if (found !== undefined) {
          listener.onValue(load, this.settle(load, outcomeOf(found)));
        }
      }
      const missing = loads.filter(isMissing);
      if (missing.length > 0) {
        filler.requestStamps(this.facts.tags, this.options, this.isBatch);
        const decisions = await leases.acquireMany(missing, reads.filter(isMissing), () => this.newBudget());
        for (const [index, load] of missing.entries()) {
          const decision = decisions[index];
          if (decision !== undefined) {
            this.follow(load, decision, listener);
          }
        }
      }
    } catch (error) {
      const lost = loads.filter(({ isWaiting, isEnded }) => !isWaiting && !isEnded);
      lost.forEach((load) => this.reject(load, error, listener));
    }
  }

  /** Runs the loader of the batch for loads that are missing. @throws what it throws */
  async run(loads: readonly GroupedLoad[], load: (context: LoadContext) => Promise<T[]>): Promise<GroupRun<T>> {
    const { runtime, filler, recorder } = this.parts;
    const flights = loads.map(({ flight }) => flight);
    const context = new LoadContext(runtime.loadSignals, undefined, flights);
    const granted = loads.find(({ grant }) => grant !== undefined);
    const tagging = filler.beginTags(this.facts.tags, this.options, granted?.grant, this.isBatch);
    const tags = tagging instanceof Promise && !this.isBatch ? await this.newBudget().wait(tagging) : await tagging;
    const startedAtMs = runtime.clock.nowMs();
    flights.forEach((flight) => flight.startLoader(() => {}));
    let hasFailed = true;
    try {
      const values = await load(context);
      hasFailed = false;
      return { values, context, tags, loadMs: runtime.clock.nowMs() - startedAtMs };
    } finally {
      context.end();
      for (const { flight, encodedKey } of loads) {
        flight.stopLoader();
        flight.beginStoring(context.addedTags);
        recorder.load(encodedKey, runtime.clock.nowMs() - startedAtMs, hasFailed ? 'error' : 'ok');
      }
    }
  }

  /** Stores the values of some loads of a run, in pieces. Resolves when they are stored, or given up. Never rejects. */
  async store(
    { context, tags, loadMs }: GroupRun<T>,
    loads: readonly GroupedLoad[],
    values: readonly T[],
    listener: GroupListener<T>,
  ): Promise<void> {
    const { filler, reader } = this.parts;
    const loaded = loads.map((load, index) => {
      const { encodedKey: key, flight, grant } = load;
      return { key, value: values[index] as T, flight, grant, loadMs, load };
    });
    try {
      await filler.storeMany(loaded, context, this.options, tags, ({ load, value }, { stored, kept }) => {
        const { flight } = load;
        const isShareable =
          kept || (flight.joined !== undefined && reader.values.isForSeveral(value, stored, this.options?.values));
        const hadStale = flight.stale !== undefined;
        listener.onValue(load, this.settle(load, { source: 'loader', stored, kept, isShareable, hadStale }));
      });
    } catch (error) {
      loads.filter(({ isEnded }) => !isEnded).forEach((load) => this.reject(load, error, listener));
    }
  }

  /**
   * Ends some loads of a run whose loader has thrown: with their stale values, or with the error. Resolves when their
   * leases are released. Never rejects.
   */
  async fail(loads: readonly GroupedLoad[], error: unknown, listener: GroupListener<T>): Promise<void> {
    const { recorder } = this.parts;
    const releases = loads.map(async ({ grant }) => grant?.lease.releaseUnfilled());
    for (const load of loads) {
      const { stale } = load.flight;
      if (stale !== undefined && allowsStale(this.options, error)) {
        recorder.refreshFailed(load.encodedKey, stale.ttlMs > 0 ? 'fresh' : 'stale', error);
        listener.onValue(load, this.settle(load, outcomeOf(stale)));
      } else {
        this.reject(load, error, listener);
      }
    }
    await Promise.all(releases);
  }

  private follow(load: GroupedLoad, decision: LoadDecision | Promise<LoadDecision>, listener: GroupListener<T>): void {
    if (decision instanceof Promise) {
      decision.then(
        (decided) => this.follow(load, decided, listener),
        (error: unknown) => this.reject(load, error, listener),
      );
    } else if (decision.kind === 'serve') {
      listener.onValue(load, this.settle(load, outcomeOf(decision.entry)));
    } else {
      this.beginLoader(load, decision);
      listener.onMissing(load);
    }
  }

  private beginLoader(load: GroupedLoad, { grant, stale }: GrantedLoad): void {
    const { flights, recorder, runtime } = this.parts;
    const { encodedKey, flight } = load;
    if (stale !== undefined) {
      recorder.refresh(stale.ttlMs);
    }
    flights.beginLoader(encodedKey, flight, grant !== undefined, stale, runtime.clock.nowMs());
    grant?.lease.startRenewing(flight);
    load.grant = grant;
    load.isWaiting = true;
  }

  private settle(load: GroupedLoad, outcome: LoadOutcome): T {
    const { flights, recorder, reader } = this.parts;
    load.isEnded = true;
    flights.end(load.encodedKey, load.flight);
    load.flight.settle(outcome);
    countOutcome(recorder, load.key, outcome, false);
    return reader.values.read(outcome.stored, this.options?.values) as T;
  }

  private reject(load: GroupedLoad, error: unknown, listener: GroupListener<T>): void {
    const { flights, recorder } = this.parts;
    const { flight } = load;
    load.isEnded = true;
    flights.end(load.encodedKey, flight);
    flight.fail(error);
    recorder.miss(load.key, { stale: flight.stale !== undefined, collapsed: false, stored: false });
    listener.onError(load, error);
  }

  private newBudget(): WaitBudget {
    const { redis, config } = this.parts.runtime;
    return new WaitBudget(redis?.connection.deadlineClock ?? REAL_TIME, config.deadlineMs);
  }
}
