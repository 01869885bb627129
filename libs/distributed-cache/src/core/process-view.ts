import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type CacheConfig, MOST_HOT_KEYS } from '../config/index.js';
import { type CacheMetrics, VERSION } from '../events/index.js';
import type { TopEntry, TopOrder } from '../local/index.js';
import { CacheOperations, type ProcessFacts, type ProcessPart, type ProcessView } from '../ops/index.js';
import { type CacheKey, encodeKey } from '../keys/index.js';
import type { Flight } from './flight.js';
import { refusalsOf } from './health.js';
import type { CacheRuntime } from './runtime.js';
import { WarmUp, type WarmedNamespace } from '../warm/warm-up.js';

/** What one namespace tells about itself, without values, and how it is warmed. */
export interface NamespaceView extends WarmedNamespace {
  /** The entries of L1 that rank first, in descending order. */
  top(by: TopOrder, limit: number): readonly TopEntry[];
  /** What this process holds of an entry. @param key the key in the form that every tier uses */
  inspect(key: string): ProcessPart;
  /** How many entries of L1 have this tag. */
  tagged(tag: string): number;
  loads(): Iterable<readonly [key: string, flight: Flight]>;
}

/** A namespace, as far as operators look at it and change it. */
interface OperatedNamespace {
  readonly view: NamespaceView;
  getMetrics(): CacheMetrics;
  deleteMany(keys: readonly CacheKey[]): Promise<number>;
  expire(key: CacheKey): Promise<boolean>;
  invalidateTags(...tags: string[]): Promise<void>;
  clear(): Promise<void>;
}

type Namespaces = ReadonlyMap<string, OperatedNamespace>;

/**
 * The operations of a cache.
 * @param caches the namespaces in use
 * @param visit a {@link visitor}
 */
export function operationsOf(
  runtime: CacheRuntime,
  caches: Namespaces,
  visit: (namespace: string) => OperatedNamespace,
  { application, observer }: { readonly application: string | undefined; readonly observer: boolean },
): CacheOperations {
  const { config, redis } = runtime;
  return new CacheOperations(
    { id: redis?.topics.processId ?? randomUUID(), host: hostname(), pid: process.pid, application },
    `${config.keyPrefix}:`,
    {
      counted: () => Array.from(caches, ([namespace, cache]) => ({ namespace, counts: cache.getMetrics() })),
      encode: encodeKey,
      delete: (namespace, keys) => visit(namespace).deleteMany(keys),
      expire: async (namespace, keys) => {
        const existed = await Promise.all(keys.map((key) => visit(namespace).expire(key)));
        return existed.filter(Boolean).length;
      },
      invalidateTags: (namespace, tags) => visit(namespace).invalidateTags(...tags),
      clear: (namespace) => visit(namespace).clear(),
    },
    observer || !config.enabled ? undefined : (operations) => processView(runtime, caches, operations),
    redis,
  );
}

/**
 * Finds namespaces for operators. One that is not in use does not become so: its options here would then differ from those
 * that the application gives it later.
 * @param make makes a namespace that is not in use
 */
export function visitor<Cache>(
  caches: ReadonlyMap<string, Cache>,
  make: (namespace: string) => Cache,
): (namespace: string) => Cache {
  const visited = new Map<string, Cache>();
  return (namespace) => {
    const cache = caches.get(namespace) ?? visited.get(namespace) ?? make(namespace);
    visited.set(namespace, cache);
    return cache;
  };
}

/**
 * The warm-up of a cache.
 * @param caches the namespaces in use
 * @param use makes a namespace, if it is not in use yet
 */
export function warmUpOf(
  config: CacheConfig,
  redis: CacheRuntime['redis'],
  runtime: () => CacheRuntime,
  caches: Namespaces,
  use: (namespace: string) => OperatedNamespace,
): WarmUp {
  return new WarmUp(
    config.enabled && config.local !== false && config.warmUp,
    {
      keyPrefix: config.keyPrefix,
      get events() {
        return runtime().events;
      },
      get closing() {
        return runtime().closing;
      },
      inUse: (namespace) => caches.get(namespace)?.view,
      use: (namespace) => use(namespace).view,
      keepsReads: () => redis?.connection.isLive === true && redis.changes.receivesChanges,
      isFilled: (part) => {
        const { local } = runtime();
        return local !== undefined && local.usedBytes >= part * local.maxBytes;
      },
    },
    redis,
    MOST_HOT_KEYS,
  );
}

/** The answers of this process to the questions of the operations plane. */
function processView(runtime: CacheRuntime, caches: Namespaces, operations: CacheOperations): ProcessView {
  const config = configDigest(runtime.config);
  const madeAtMs = performance.now();
  const selected = (namespace: string | undefined): Namespaces => {
    const cache = namespace === undefined ? undefined : caches.get(namespace);
    return namespace === undefined ? caches : new Map(cache === undefined ? [] : [[namespace, cache]]);
  };
  return {
    hello: () => ({
      version: VERSION,
      node: process.versions.node,
      uptimeSeconds: Math.round((performance.now() - madeAtMs) / 1000),
      config,
      ...redisFacts(runtime),
      heapBytes: process.memoryUsage().heapUsed,
      localEntries: runtime.local?.entryCount ?? 0,
      localBytes: runtime.local?.usedBytes ?? 0,
      localMaxBytes: runtime.local?.maxBytes ?? 0,
      namespaces: [...caches.keys()],
      ignoredMessages: operations.ignoredMessages,
    }),
    metrics: ({ namespace }) => [...selected(namespace).values()].map((cache) => cache.getMetrics().toJSON()),
    history: ({ namespace, steps }) => operations.history.steps(namespace, steps),
    top: ({ namespace, by, count }) =>
      [...selected(namespace)]
        .flatMap(([name, { view }]) => view.top(by, count).map((entry) => Object.assign(entry, { namespace: name })))
        .sort((one, other) => other[by] - one[by])
        .slice(0, count),
    inspect: ({ namespace, key }) =>
      caches.get(namespace)?.view.inspect(key) ?? {
        local: { state: runtime.local === undefined ? 'off' : 'missing' },
        isLoading: false,
        isJournalled: false,
      },
    tagged: ({ namespace, tag }) => caches.get(namespace)?.view.tagged(tag) ?? 0,
    loads: ({ count }) =>
      [...caches]
        .flatMap(([namespace, { view }]) =>
          Array.from(view.loads(), ([key, { phase, elapsedMs }]) => ({ namespace, key, phase, elapsedMs })),
        )
        .sort((one, other) => other.elapsedMs - one.elapsedMs)
        .slice(0, count),
    changes: ({ count }) => operations.recent.last(count),
    warm: ({ starts }) => {
      const { warmUp } = runtime;
      if (starts) {
        void warmUp.again();
      }
      return warmUp.facts ?? { namespaces: [], isWarm: true, ...warmUp.counts };
    },
  };
}

function redisFacts({
  redis,
  config,
}: CacheRuntime): Pick<ProcessFacts, 'redis' | 'refused' | 'invalidation' | 'journalLength'> {
  const refusals = redis === undefined ? [] : refusalsOf(redis, config.keyPrefix);
  return {
    redis: redis?.connection.state ?? 'none',
    refused: refusals.map(({ command, reply }) => `${command} ${reply}`),
    invalidation: redis?.changes.state ?? 'lost',
    journalLength: redis?.journal.size ?? 0,
  };
}

/** A digest of what the processes of one deployment have in common: not the address of Redis. */
function configDigest(config: CacheConfig): string {
  const options = Object.entries(config).filter(([name]) => name !== 'redis' && name !== 'encryptionKeys');
  const namespaces = config.namespaceNames.map((name) => [name, config.namespace(name)]);
  const text = JSON.stringify([options, [...config.classes.keys()], namespaces], (_name, value: unknown) =>
    isPlain(value) ? value : (value as object).constructor.name,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

function isPlain(value: unknown): boolean {
  return (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    Object.getPrototypeOf(value) === Object.prototype
  );
}
