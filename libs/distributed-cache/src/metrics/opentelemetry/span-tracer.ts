import {
  type Attributes,
  context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { CacheEventMap, CacheTracer, TracedKind, TracedOperation } from '../../events/index.js';

/** The names of the spans, without the namespace: the operations that Sentry knows. */
const NAMES: Readonly<Record<TracedKind, string>> = {
  lookup: 'cache.get',
  load: 'cache.load',
  store: 'cache.put',
  remove: 'cache.remove',
  clear: 'cache.flush',
};

/** The most entries whose last span is remembered, for the span of a divergence. */
const MAX_REMEMBERED = 1000;

/** Makes a span of each traced operation, and runs the operation within it. */
export class SpanTracer implements CacheTracer {
  private readonly spans = new WeakMap<TracedOperation, SpanContext>();
  /** The span in which the present copy of an entry came to L1, the oldest first. */
  private readonly lastOf = new Map<string, SpanContext>();

  constructor(
    private readonly tracer: Tracer,
    private readonly keyOf: ((key: string) => string) | undefined,
    private readonly onlyLoads: boolean,
  ) {}

  capture(): SpanContext | undefined {
    return trace.getSpanContext(context.active());
  }

  trace<Result>(operation: TracedOperation, run: () => Promise<Result>): Promise<Result> {
    if (this.onlyLoads && operation.kind !== 'load') {
      return run();
    }
    const span = this.start(operation);
    const parent = operation.isBackground === true ? ROOT_CONTEXT : context.active();
    this.spans.set(operation, span.spanContext());
    const running = context.with(trace.setSpan(parent, span), run);
    running.then(
      () => this.end(span, operation),
      (error: unknown) => this.fail(span, operation, error),
    );
    return running;
  }

  /** Makes the span of a hit of L1, which has no duration. A hit of Redis has one already. */
  hit({ namespace, key, tier, state, ttlMs }: CacheEventMap['hit']): void {
    if (tier === 'local') {
      const operation: TracedOperation = { kind: 'lookup', namespace, method: 'getOrSet', keys: [key] };
      this.end(this.start(operation), Object.assign(operation, { hit: true, tier, state, ttlMs }));
    }
  }

  /** Makes the span of a divergence, with a link to the span in which the copy came to L1, if that is still known. */
  diverged({ namespace, key, ageMs }: CacheEventMap['diverged']): void {
    const cause = this.lastOf.get(`${namespace}:${key}`);
    const operation = {
      kind: 'remove',
      namespace,
      method: 'diverged',
      keys: [key],
      cause,
      isBackground: true,
    } as const;
    const span = this.start(operation);
    span.setAttribute('nestjs.cache.age_ms', ageMs);
    span.end();
  }

  private start(operation: TracedOperation): Span {
    const { kind, namespace, method, keys, cause, isBackground = false } = operation;
    const attributes: Attributes = { 'cache.operation': method, 'nestjs.cache.name': namespace };
    if (kind === 'store') {
      attributes['cache.write'] = true;
    }
    if (this.keyOf !== undefined) {
      attributes['cache.key'] = keys.map(this.keyOf);
    }
    const links = cause === undefined ? [] : [{ context: cause as SpanContext }]; // made by `capture`
    return this.tracer.startSpan(`${NAMES[kind]} ${namespace}`, { attributes, links, root: isBackground });
  }

  private end(span: Span, operation: TracedOperation): void {
    const { hit, tier, state, ttlMs, collapsed, stored, load, itemBytes, waitedMs } = operation;
    const attributes: Attributes = {
      'cache.hit': hit,
      'cache.ttl': ttlMs === undefined ? undefined : ttlMs / 1000,
      'cache.item_size': itemBytes,
      'nestjs.cache.tier': tier,
      'nestjs.cache.state': state,
      'nestjs.cache.collapsed': collapsed,
      'nestjs.cache.waited_ms': waitedMs,
      'nestjs.cache.stored': stored,
    };
    span.setAttributes(attributes);
    const loading = collapsed === true && load !== undefined ? this.spans.get(load) : undefined;
    if (loading !== undefined) {
      span.addLink({ context: loading });
    }
    span.end();
    this.remember(operation, span.spanContext());
  }

  private remember({ kind, namespace, keys }: TracedOperation, span: SpanContext): void {
    if (kind === 'lookup' || kind === 'store') {
      for (const key of keys) {
        const name = `${namespace}:${key}`;
        this.lastOf.delete(name);
        this.lastOf.set(name, span);
      }
      for (const name of this.lastOf.keys()) {
        if (this.lastOf.size <= MAX_REMEMBERED) {
          break;
        }
        this.lastOf.delete(name);
      }
    }
  }

  /** The message of an error could hold anything: only its name is recorded. */
  private fail(span: Span, operation: TracedOperation, error: unknown): void {
    span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
    span.setStatus({ code: SpanStatusCode.ERROR });
    this.end(span, operation);
  }
}
