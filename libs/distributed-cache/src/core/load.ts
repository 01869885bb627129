import { toMs } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import type { TracedOperation } from '../events/index.js';
import { type CacheKey, encodeKey } from '../keys/index.js';
import { REAL_TIME, WaitBudget } from '../redis/index.js';
import { checkLife, type EntryOptions, isRefreshDue, type Loader, tagNames } from './entry-options.js';
import type { Flight, LoadFacts } from './flight.js';
import type { Flights } from './flights.js';
import { type GrantedLoad, type LeaseQueue, NEVER_ENOUGH_MS } from './lease-wait.js';
import { allowsStale, hasLimits, LoadDelivery, type LoadRequest } from './load-delivery.js';
import type { LoadFiller } from './load-filler.js';
import { LoadContext, loadScopes, recordWait, runTimed } from './loader-run.js';
import { type LoadOutcome, outcomeOf, type ReadResult } from './outcomes.js';
import type { EntryReader } from './read.js';
import type { Recorder } from './recorder.js';
import type { CacheRuntime } from './runtime.js';
import { CacheContext } from './vary-by.js';

/**
 * Gets a value from L1, else from Redis, else from the loader, whose result is stored in Redis and L1.
 *
 * A miss takes these steps, in this order: join the load that is under way for the key or begin one (`joinOrBegin`);
 * look in Redis, acquire the lease or wait for the load of another process (`load`); run the loader and store its result
 * (`runAndFill`); and give the result to each caller (`LoadDelivery`).
 *
 * The calls for one key share one load in this process, until the key changes or the load exceeds its life. A lease in
 * Redis limits the cluster to one load per key; without Redis each process loads. The loader runs at most once in a
 * load. If it throws, the load returns a value that is stale and within its grace, unless `staleIf` forbids that;
 * otherwise its error, the same object, reaches every caller.
 */
export class LoadCoordinator {
  private readonly deadlineClock: { nowMs(): number };
  private readonly delivery: LoadDelivery;

  constructor(
    private readonly namespace: string,
    private readonly runtime: CacheRuntime,
    private readonly flights: Flights,
    private readonly reader: EntryReader,
    private readonly leases: LeaseQueue,
    private readonly filler: LoadFiller,
    private readonly recorder: Recorder,
  ) {
    this.deadlineClock = runtime.redis?.connection.deadlineClock ?? REAL_TIME;
    this.delivery = new LoadDelivery(runtime, flights, recorder, reader.values, (request) => this.get(request));
  }

  /**
   * Returns the value of a key, from L1 or by a load. A fresh value of L1 that is close to its expiry may be refreshed in
   * the background, by the rule of `isRefreshDue`. In a refresh the value is loaded anew; in a bypass, and with the cache
   * switched off, the loader runs, and nothing is kept.
   * @throws CacheKeyError at once, for a key that is not a well-formed non-empty string
   */
  getOrLoad<T>(key: CacheKey, loader: Loader<T>, options: EntryOptions<T> | undefined): Promise<T> {
    const encodedKey = encodeKey(key);
    this.recorder.rememberCaller(key);
    const request = { key, encodedKey, loader, options, minTtlMs: 0, isRepeated: false };
    const scope = this.runtime.scopes.current;
    if (!this.runtime.config.enabled || scope?.kind === 'bypass') {
      return this.loadUncached(loader);
    }
    if (options?.signal?.aborted === true) {
      return Promise.reject(options.signal.reason);
    }
    if (scope === undefined) {
      return options?.refresh === true ? this.loadAnew(request) : this.get(request);
    }
    if (options?.refresh === true || scope.skips(this.namespace, key)) {
      scope.renew(this.namespace, [key]);
      return this.loadAnew(request);
    }
    return this.flights.joinable(encodedKey) === undefined ? this.get(request) : this.joinOrBegin(request);
  }

  /** Whether the next load requests the lease at once, which reads the value too. */
  get expectsMiss(): boolean {
    return !this.leases.missPredictor.readsFirst(0);
  }

  /**
   * Loads a value although one is cached, and joins no load that began before: its result would not show the latest changes.
   * A call of its own loader for the same key joins, and is refused as a load cycle.
   */
  private loadAnew<T>(request: LoadRequest<T>): Promise<T> {
    const { encodedKey } = request;
    const running = this.flights.joinable(encodedKey);
    if (running !== undefined && loadScopes.current?.includes(running) === true) {
      return this.joinOrBegin(request);
    }
    this.flights.supersedeLoads(encodedKey);
    return this.traced({ ...request, minTtlMs: NEVER_ENOUGH_MS }, (traced) => this.begin(traced));
  }

  /** Runs a loader, and keeps nothing. The loader begins after this call has returned: a batch counts its calls. */
  async loadUncached<T>(loader: Loader<T>): Promise<T> {
    const context = new LoadContext(this.runtime.loadSignals, undefined);
    try {
      await Promise.resolve();
      return await loader(context);
    } finally {
      context.end();
    }
  }

  private get<T>(request: LoadRequest<T>): Promise<T> {
    const { key, encodedKey, options } = request;
    const local = this.reader.freshLocal(encodedKey);
    if (local === undefined) {
      return this.joinOrBegin(request);
    }
    this.recorder.hit(key, 'local', 'fresh', local.ttlMs, local.loadMs);
    if (isRefreshDue(local.ttlMs, local, options, this.runtime.random)) {
      this.refresh({ ...request, minTtlMs: local.ttlMs, cause: this.runtime.tracing.tracer?.capture() ?? undefined });
    }
    return Promise.resolve(this.reader.values.read(local.stored, options?.values) as T);
  }

  /**
   * Loads a value in the background while it is still fresh, if no load of its key is under way. A value of Redis that is
   * fresh for longer is taken instead of a new one. A call after the expiry joins; if the loader throws, the present
   * value stays, and the error is emitted.
   */
  private refresh<T>(request: LoadRequest<T>): void {
    const { encodedKey } = request;
    if (this.flights.joinable(encodedKey) === undefined) {
      const begin = (): Flight => this.flights.beginLoad(encodedKey, (flight) => this.load(request, flight));
      const refreshing = request.options?.refreshContext === 'caller' ? begin() : this.beginOutside(begin);
      refreshing.addCall(undefined); // it goes on whatever the calls do that join it
      refreshing.result.catch((error) => this.recorder.refreshFailed(request.key, 'fresh', error));
    }
  }

  /** Begins a load outside of the present request, which may end first; only its dimensions are kept. */
  private beginOutside(begin: () => Flight): Flight {
    const dimensions = CacheContext.current;
    return this.runtime.outside(() => (dimensions === undefined ? begin() : CacheContext.run(dimensions, begin)));
  }

  /** Traces a lookup that L1 could not answer, unless it is traced already. */
  private traced<T>(request: LoadRequest<T>, run: (request: LoadRequest<T>) => Promise<T>): Promise<T> {
    const { tracing } = this.runtime;
    return request.traced !== undefined || !tracing.isActive('lookup')
      ? run(request)
      : tracing.trace('lookup', 'getOrSet', this.namespace, [request.key], (traced) => run({ ...request, traced }));
  }

  private begin<T>(request: LoadRequest<T>): Promise<T> {
    const scope = loadScopes.current;
    const flight = this.flights.beginLoad(request.encodedKey, (begun) => this.load(request, begun));
    return scope === undefined && !hasLimits(request.options)
      ? this.delivery.deliver(request, flight)
      : this.delivery.deliverInTime(request, flight, false, scope && recordWait(scope, flight));
  }

  private joinOrBegin<T>(request: LoadRequest<T>): Promise<T> {
    return this.traced(request, (traced) => this.joinOrBeginTraced(traced));
  }

  private joinOrBeginTraced<T>(request: LoadRequest<T>): Promise<T> {
    const running = this.flights.joinable(request.encodedKey);
    if (running === undefined) {
      return this.begin(request);
    }
    const scope = loadScopes.current;
    try {
      return this.delivery.deliverInTime(request, running, true, scope && recordWait(scope, running));
    } catch (error) {
      this.delivery.countFailure(request.key, running, true);
      const rejected: Promise<T> = Promise.reject(error);
      // A loader that does not wait for this call must not end the process by an unhandled rejection.
      rejected.catch(() => {});
      return rejected;
    }
  }

  /**
   * Looks in Redis, or in L1 while Redis can't be used. If there is no fresh value, acquires the lease of the key, or
   * waits for the load of another process; and if that brings no value, runs the loader and stores its result. When
   * `missPredictor` expects a miss, the load requests the lease at once, which reads the value too.
   */
  private async load<T>(request: LoadRequest<T>, flight: Flight): Promise<LoadOutcome> {
    const { encodedKey, options, minTtlMs } = request;
    const { deadlineClock, leases } = this;
    const startedAtMs = deadlineClock.nowMs();
    try {
      flight.describe(`${this.namespace}:${encodedKey}`, this.factsOf(options));
      let read: ReadResult | undefined;
      if (leases.missPredictor.readsFirst(minTtlMs)) {
        const finding = this.reader.find(encodedKey);
        const checking =
          finding === undefined
            ? this.reader.readLocal(encodedKey)
            : this.reader.checkAndKeep(encodedKey, await finding, flight);
        read = checking instanceof Promise ? await checking : checking;
        leases.missPredictor.learn(read);
        if (read.found !== undefined && read.found.ttlMs > minTtlMs) {
          return outcomeOf(read.found);
        }
      } else if (minTtlMs === 0) {
        this.reader.learn(encodedKey);
      }
      const spentMs = deadlineClock.nowMs() - startedAtMs;
      const budget = new WaitBudget(deadlineClock, this.runtime.config.deadlineMs, spentMs);
      this.filler.requestStamps(flight.tags, options);
      const decision = await leases.acquireOrWait(encodedKey, read, flight, budget, minTtlMs);
      if (decision.kind === 'serve') {
        return outcomeOf(decision.entry);
      }
      const granted = minTtlMs === NEVER_ENOUGH_MS ? { ...decision, stale: undefined } : decision;
      this.beginLoader(encodedKey, flight, granted);
      return await this.runAndFill(request, flight, granted, budget);
    } finally {
      this.flights.end(encodedKey, flight);
    }
  }

  /** @throws RangeError for a TTL or grace that is not a duration, CacheKeyError for a tag */
  factsOf<T>(options: EntryOptions<T> | undefined): LoadFacts {
    const hardTimeout = options?.hardTimeout;
    if (options !== undefined) {
      checkLife(options);
    }
    return {
      loadLifeMs: Math.max(this.runtime.loadLifeMs, hardTimeout === undefined ? 0 : toMs(hardTimeout)),
      check: this.reader.checks.of(options),
      values: options?.values,
      tags: tagNames(options?.tags),
    };
  }

  /** Runs the loader of a flight, traced if anything listens; the lookups that wait for the flight are linked to it. */
  private traceLoad<T>(request: LoadRequest<T>, flight: Flight, run: () => Promise<T>): Promise<T> {
    const { tracing } = this.runtime;
    if (!tracing.isActive('load')) {
      return run();
    }
    const { key, cause, traced } = request;
    const isBackground = request.minTtlMs > 0 && request.minTtlMs !== NEVER_ENOUGH_MS;
    const operation: TracedOperation = {
      kind: 'load',
      method: 'getOrSet',
      namespace: this.namespace,
      keys: [String(key)],
      isBackground,
      cause,
    };
    flight.traced = operation;
    if (traced !== undefined) {
      traced.load = operation;
    }
    return tracing.run(operation, run);
  }

  /** Prepares the flight for its loader, which runs next. @throws LoaderTimeoutError if no call waits for it any more */
  private beginLoader(key: string, flight: Flight, { grant, stale }: GrantedLoad): void {
    if (flight.isAbandoned) {
      void grant?.lease.release();
      const error = new LoaderTimeoutError(flight.loadLifeMs);
      flight.endByTimeout(error);
      throw error;
    }
    if (stale !== undefined) {
      this.recorder.refresh(stale.ttlMs);
    }
    this.flights.beginLoader(key, flight, grant !== undefined, stale, this.runtime.clock.nowMs());
  }

  /** Runs the loader and stores its result. If the loader throws, the result is the stale value, unless `staleIf` forbids. */
  private async runAndFill<T>(
    request: LoadRequest<T>,
    flight: Flight,
    { grant, stale }: GrantedLoad,
    budget: WaitBudget,
  ): Promise<LoadOutcome> {
    const { encodedKey: key, loader, options } = request;
    const { clock, loadSignals } = this.runtime;
    const { values } = this.reader;
    const staleValue = stale === undefined ? undefined : values.read(stale.stored, options?.values);
    const context = new LoadContext(loadSignals, staleValue, [flight]);
    grant?.lease.startRenewing(flight);
    const tagging = this.filler.beginTags(flight.tags, options, grant);
    const tags = tagging instanceof Promise ? await budget.wait(tagging) : tagging;
    const startedAtMs = clock.nowMs();
    const waitedMs = flight.startLoader((reason) => context.abandon(reason));
    let value: T;
    try {
      value = await this.traceLoad(request, flight, () =>
        runTimed(loader, context, options?.hardTimeout, waitedMs, clock, (durationMs, ended) =>
          this.recorder.load(key, durationMs, ended),
        ),
      );
    } catch (error) {
      void grant?.lease.releaseUnfilled();
      if (context.abortedBy !== undefined && context.abortedBy === error) {
        flight.endByTimeout(context.abortedBy);
      }
      if (stale === undefined || !allowsStale(options, error)) {
        throw error;
      }
      if (!flight.isAbandoned) {
        this.recorder.refreshFailed(key, stale.ttlMs > 0 ? 'fresh' : 'stale', error);
      }
      return outcomeOf(stale);
    } finally {
      flight.stopLoader();
    }
    flight.beginStoring(context.addedTags);
    const loaded = { key, value, flight, loadMs: clock.nowMs() - startedAtMs };
    const filling = this.filler.store(loaded, context, options, tags, grant);
    const filled = await budget.wait(filling);
    if (filled === undefined) {
      // The budget is used up: the caller gets the value, storing continues, and the load counts as not stored. That
      // caller gets a copy: its changes must not reach what is stored.
      flight.continueInBackground(filling.catch(() => {}));
    }
    const { stored, kept } = filled ?? { stored: values.unkept(value, options?.values, false), kept: false };
    const isShareable = kept || (flight.joined !== undefined && values.isForSeveral(value, stored, options?.values));
    return { source: 'loader', stored, kept, isShareable, hadStale: stale !== undefined };
  }
}
