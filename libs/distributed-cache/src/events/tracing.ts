import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel';
import { type AnsweringTier, DIAGNOSTICS_CHANNEL_PREFIX } from './cache-events.js';

/**
 * The kinds of operations that are traced. `lookup`: a read that L1 could not answer at once; `load`: a run of a loader;
 * `remove`: a deletion, an expiry or an invalidation of tags.
 */
export type TracedKind = 'lookup' | 'load' | 'store' | 'remove' | 'clear';

/** One operation that is traced. Its outcome is filled in before it ends. */
export interface TracedOperation {
  readonly kind: TracedKind;
  readonly namespace: string;
  /** The method of the cache: `getOrSet`. */
  readonly method: string;
  /** The whole keys (for tags, their names): shorten them with `describeKey` before they leave the process. */
  readonly keys: readonly string[];
  /** Of a lookup: whether a tier had the value. */
  hit?: boolean;
  tier?: AnsweringTier;
  state?: 'fresh' | 'stale' | 'missing';
  /** The rest of the fresh life of the value, in milliseconds. */
  ttlMs?: number;
  /** Of a lookup that Redis answered: the size of the entry in Redis, in bytes. */
  itemBytes?: number | undefined;
  /** Of a lookup: how long it waited for a load that another call or another process had begun, in milliseconds. */
  waitedMs?: number;
  /** Of a lookup: whether it waited for a load that another call had begun. */
  collapsed?: boolean;
  /** Of a lookup: whether the result of its load was stored. Of `set`: whether Redis has the value. */
  stored?: boolean;
  /** Of a lookup: the last load of its key that it has waited for, if this process has run one. */
  load?: TracedOperation | undefined;
  /** Of a load in the background: what {@link CacheTracer.capture} has returned for the hit that caused it. */
  cause?: unknown;
  /** Whether no call waits for the load. */
  isBackground?: boolean;
}

/** Runs the operations of a cache within spans; `nestjs-distributed-cache/opentelemetry` sets one. */
export interface CacheTracer {
  /** The present span, for `cause` of a load in the background. */
  capture(): unknown;
  /** Runs an operation and everything that it calls within its span. Must call `run` once and return its promise. */
  trace<Result>(operation: TracedOperation, run: () => Promise<Result>): Promise<Result>;
}

type Channels = { readonly [Kind in TracedKind]: TracingChannel<string, TracedOperation> };

const channelOf = (kind: TracedKind): TracingChannel<string, TracedOperation> =>
  tracingChannel(DIAGNOSTICS_CHANNEL_PREFIX + kind);

/**
 * Publishes the operations of a cache on the tracing channels of Node (`tracing:nestjs-distributed-cache:load:start`, ...)
 * and hands them to a tracer. While nothing listens, an operation costs one check. A hit of L1 is no traced operation.
 */
export class Tracing {
  /** Absent: there is none. */
  tracer: CacheTracer | undefined;
  private readonly channels: Channels = {
    lookup: channelOf('lookup'),
    load: channelOf('load'),
    store: channelOf('store'),
    remove: channelOf('remove'),
    clear: channelOf('clear'),
  };

  /** Whether anything listens to operations of this kind: check it before a path that would allocate. */
  isActive(kind: TracedKind): boolean {
    return this.tracer !== undefined || this.channels[kind].hasSubscribers;
  }

  /** Runs an operation, traced if anything listens. @param run receives the operation, to fill in its outcome */
  trace<Result>(
    kind: TracedKind,
    method: string,
    namespace: string,
    keys: readonly unknown[],
    run: (operation: TracedOperation | undefined) => Promise<Result>,
  ): Promise<Result> {
    return this.isActive(kind) ? this.run({ kind, method, namespace, keys: keys.map(String) }, run) : run(undefined);
  }

  /** Runs an operation that is active. */
  run<Result, Operation extends TracedOperation>(
    operation: Operation,
    run: (operation: Operation) => Promise<Result>,
  ): Promise<Result> {
    const { tracer } = this;
    const channel = this.channels[operation.kind];
    const traced = (): Promise<Result> =>
      tracer === undefined ? run(operation) : tracer.trace(operation, () => run(operation));
    return channel.hasSubscribers ? channel.tracePromise(traced, operation) : traced();
  }
}
