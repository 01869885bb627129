import {
  type AsyncCache,
  type CacheKey,
  type EntryOptions,
  PreparedKey,
  prepareKey,
  Binding,
  type DistributedCache,
} from '../../core/index.js';
import { callOption } from './call-problems.js';
import { Declaration, type MethodParts } from './decorated-methods.js';
import { type CachedOptions, entryOptionsOf, requireParentheses } from './decorator-options.js';
import { DefaultKeys, hitKey } from './entry-keys.js';
import { MisplacedResults } from './cached-many.decorator.js';
import {
  type AnyMethod,
  type AsyncMethodDecorator,
  type QuickAnswer,
  type WrappedCall,
  wrapMethod,
} from './wrap-method.js';
import { ScopedValue } from '../../scope/index.js';

/**
 * Caches the result of an asynchronous method. Concurrent calls with the same key share one run (single flight). An
 * error of the method reaches the caller as the same object; a fault of Redis never does. Works on providers,
 * controllers and resolvers of every scope. Each caller gets its own copy (see `values`). When
 * the key or an option of a call can't be computed, the method runs, and its result is not cached (event
 * `decoratedCallUncached`, once for each method).
 */
export function Cached<Args extends unknown[] = unknown[], Result = unknown>(
  options: CachedOptions<Args, Result> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('Cached', options);
}

/** `@Cached` in the namespace `keywords`, fresh for 24 h (`CACHE_TTL_KEYWORDS`). */
export function CachedKeywords<Args extends unknown[] = unknown[], Result = unknown>(
  options: Omit<CachedOptions<Args, Result>, 'namespace'> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('CachedKeywords', options, 'keywords');
}

/** `@Cached` in the namespace `metrics`, fresh for 12 h (`CACHE_TTL_METRICS`). */
export function CachedMetrics<Args extends unknown[] = unknown[], Result = unknown>(
  options: Omit<CachedOptions<Args, Result>, 'namespace'> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('CachedMetrics', options, 'metrics');
}

/** `@Cached` in the namespace `trends`, fresh for 6 h (`CACHE_TTL_TRENDS`). */
export function CachedTrends<Args extends unknown[] = unknown[], Result = unknown>(
  options: Omit<CachedOptions<Args, Result>, 'namespace'> = {},
): AsyncMethodDecorator<Args, Result> {
  return cachedDecorator('CachedTrends', options, 'trends');
}

function cachedDecorator<Args extends unknown[], Result>(
  decorator: string,
  written: CachedOptions<Args, Result>,
  ownNamespace?: string,
): AsyncMethodDecorator<Args, Result> {
  requireParentheses(`${decorator}()`, written);
  const given = ownNamespace === undefined ? written : { ...written, namespace: ownNamespace };
  return (target, name, descriptor: PropertyDescriptor) => {
    const method = new Declaration<CachedOptions<Args, Result>>(decorator, 'read', target, name, given);
    const binding = method.bind((parts: MethodParts<Result>, options) => {
      const { namespace, key, condition, keyPrefix, varyBy, version, values } = options;
      const { application } = parts;
      const keyParts = { namespace, declaring: target.constructor, method: name, keyPrefix, varyBy, version };
      const keys = new DefaultKeys(application, keyParts);
      return {
        ...parts,
        keys,
        quickKeys: isPlain(options) ? keys : undefined,
        values,
        key,
        condition,
        running: application.bound(RUNNING_LOADS),
        optionsOf: entryOptionsOf<Args, Result>(options),
        hits: application.events.observation('hit'),
        isHandlerOfResponse: answersItself(target, name),
      };
    });
    const call: WrappedCall = (application, instance, args, original) => {
      const bound = application.bound(binding);
      const { cache, keys, key, running, optionsOf, problems, suffixes, hits } = bound;
      if (
        bound.isHandlerOfResponse || // a hit would not answer the request
        (bound.condition !== undefined &&
          !problems.meets(bound.condition, instance, args as unknown as Args, 'not cached'))
      ) {
        return original.apply(instance, args);
      }
      let cacheKey: CacheKey | undefined;
      let entryOptions: EntryOptions<Result> | undefined;
      try {
        const suffix = suffixes.of(cache, instance);
        if (suffix !== undefined) {
          entryOptions = optionsOf(instance, args);
          cacheKey =
            key === undefined
              ? keys.of(instance, args, suffix)
              : hitKey(
                  callOption('key', key, instance, args as unknown as Args),
                  suffix,
                  hits.isObserved ? suffixes.caller : '',
                );
          if (key !== undefined && running.includes(cache, cacheKey)) {
            cacheKey = undefined;
          } else {
            const hit = cache.hit(cacheKey, entryOptions);
            if (hit !== undefined) {
              return hit;
            }
            if (!(cacheKey instanceof PreparedKey)) {
              cacheKey = prepareKey(cacheKey, '', suffixes.caller); // throws for a key that is not valid
            }
          }
        }
      } catch (error) {
        cacheKey = undefined;
        problems.report(error, 'not cached');
      }
      if (cacheKey === undefined) {
        return original.apply(instance, args);
      }
      const load = loaderOf<Result>(original, instance, args);
      return key === undefined
        ? cache.getOrSet(cacheKey, load, entryOptions)
        : apartFromBatch(cache.getOrSet(cacheKey, trackedLoaderOf(running, cache, cacheKey, load), entryOptions), load);
    };
    const quickAnswer: QuickAnswer = (application, instance, only) => {
      const { cache, quickKeys, values } = application.bound(binding);
      const known = quickKeys?.known(instance, only);
      return known === undefined ? undefined : cache.hitAgain(known, values);
    };
    wrapMethod(decorator, target, name, descriptor, call, isPlain(given) ? quickAnswer : undefined);
  };
}

/** With one of these options the key depends on more than the arguments, or a hit on more than the key. */
const NOT_PLAIN = ['key', 'instanceKey', 'varyBy', 'version', 'refreshAhead', 'condition'] as const;

/** Whether a call with one argument is decided by that argument alone. */
function isPlain(options: Readonly<Partial<Record<(typeof NOT_PLAIN)[number], unknown>>>): boolean {
  return NOT_PLAIN.every((name) => options[name] === undefined);
}

/**
 * A separate function: a closure in the decorated call would cost every call a context on the heap, hits included.
 */
function loaderOf<Result>(original: AnyMethod, instance: object, args: unknown[]): () => Promise<Result> {
  return () => original.apply(instance, args) as Promise<Result>;
}

/** A loader that counts as a load under way while it runs. */
function trackedLoaderOf<Result>(
  running: RunningLoads,
  cache: AsyncCache<Result>,
  key: CacheKey,
  load: () => Promise<Result>,
): () => Promise<Result> {
  return () => running.run(cache, key, load);
}

/**
 * Runs the method when the call has joined the load of a `@CachedMany` whose results fit no item: that is no error of
 * this method.
 */
async function apartFromBatch<Result>(joined: Promise<Result>, load: () => Promise<Result>): Promise<Result> {
  try {
    return await joined;
  } catch (error) {
    if (error instanceof MisplacedResults) {
      return load();
    }
    throw error;
  }
}

interface RunningLoad {
  readonly cache: AsyncCache;
  readonly key: string;
  readonly outer: RunningLoad | undefined;
  isRunning: boolean;
}

/**
 * The loads of decorated methods that run in one application. A call that is part of a load of its own key must run its
 * method: otherwise it would wait for itself. An override that calls `super.find()` is such a call, when both methods
 * have the same `key` option.
 */
class RunningLoads {
  private readonly innermost = new ScopedValue<RunningLoad>();
  /** While it is 0, which is usual and cheap to check, no call is part of a load. */
  private count = 0;

  /** Whether the current call is part of a load of this key. */
  includes(cache: AsyncCache, key: CacheKey): boolean {
    if (this.count === 0) {
      return false;
    }
    const name = String(key);
    for (let load = this.innermost.current; load !== undefined; load = load.outer) {
      if (load.isRunning && load.key === name && load.cache === cache) {
        return true;
      }
    }
    return false;
  }

  /** Runs the method as the load of a key. Work that it leaves running (a timer, a socket) is not part of the load. */
  async run<Result>(cache: AsyncCache, key: CacheKey, method: () => Promise<Result>): Promise<Result> {
    const load: RunningLoad = { cache, key: String(key), outer: this.innermost.current, isRunning: true };
    this.count++;
    try {
      return await this.innermost.run(load, method);
    } finally {
      load.isRunning = false;
      this.count--;
    }
  }
}

const RUNNING_LOADS = new Binding((_application: DistributedCache) => new RunningLoads());

/** The metadata of Nest's `@Get()` and its like at a handler, and of `@Res()` and its like at the class of the handler. */
const ROUTE_PATH = 'path';
const ROUTE_ARGUMENTS = '__routeArguments__';
/** Keys of the arguments: the kind, a colon and the index. The kinds 1 and 2 are the response and `next`. */
const RESPONSE_OR_NEXT = /^[12]:/;

/**
 * Whether a route handler receives the response or `next`, and so may answer the request itself. It is known once the
 * class is loaded: the decorators of Nest may be above those of the cache.
 */
export function answersItself(prototype: object, name: string | symbol): boolean {
  const handler: unknown = Reflect.get(prototype, name);
  if (typeof handler !== 'function' || !Reflect.hasMetadata(ROUTE_PATH, handler)) {
    return false;
  }
  const parameters = (Reflect.getMetadata(ROUTE_ARGUMENTS, prototype.constructor, name) ?? {}) as object;
  return Object.keys(parameters).some((key) => RESPONSE_OR_NEXT.test(key));
}
