import { suggest } from '../../config/index.js';
import { CacheKeyError, MethodKeys, prepareKey, type PreparedKey } from '../../core/index.js';
import { CACHE_SLOT, type WithCacheSlot, type AsyncMethod } from './wrap-method.js';
import { callOption } from './call-problems.js';
import { type DecoratedMethod, decoratedMethodsOf } from './decorated-methods.js';
import { callerName, defaultKeyClass, KeySuffix } from './entry-keys.js';

type Class<Instance> = abstract new (...args: never[]) => Instance;

/** The names of the methods of a class that may have a decorator of the cache. */
export type AsyncMethodName<Instance> = {
  [Name in keyof Instance]: Instance[Name] extends AsyncMethod ? Name : never;
}[keyof Instance];

/** The arguments of one method. */
export type ArgumentsOf<Instance, Name extends keyof Instance> = Instance[Name] extends (
  ...args: infer Args
) => Promise<unknown>
  ? Args
  : never;

/**
 * The key under which a method with `@Cached` or `@CachePut` has its entry for these arguments, for every method of
 * `AsyncCache` that takes a key: `cache.delete(keyOf(Users, 'find', 42))`. For a method with `@CachedMany` pass a list of
 * one item. The options of the decorator and the defaults of the class count.
 * @param target the class of the instance, or the instance itself: `varyBy` and `instanceKey` need an instance that Nest
 * has made, and `varyBy` the dimensions of the present request
 * @throws CacheKeyError for a method without such a decorator, when the key depends on more than these arguments, and for
 * an argument that can't be part of a key
 */
export function keyOf<Instance extends object, Name extends AsyncMethodName<Instance>>(
  target: Class<Instance>,
  method: Name,
  ...args: ArgumentsOf<Instance, Name>
): PreparedKey;
export function keyOf<Instance extends object, Name extends AsyncMethodName<Instance>>(
  target: Instance,
  method: Name,
  ...args: ArgumentsOf<Instance, Name>
): PreparedKey;
export function keyOf(target: object, name: PropertyKey, ...args: unknown[]): PreparedKey {
  const instance = typeof target === 'function' ? undefined : target;
  const prototype = (
    instance === undefined ? Reflect.get(target, 'prototype') : Reflect.getPrototypeOf(target)
  ) as object;
  const method = storingMethod(prototype, name);
  const { namespace, declaring, keyPrefix, varyBy, version, key } = method;
  const suffix = suffixOf(method, instance);
  if (key === undefined) {
    const parts = { namespace, declaring: declaring.constructor, method: method.name, keyPrefix, varyBy, version };
    return new MethodKeys(defaultKeyClass(prototype.constructor, parts), String(name)).of(args, suffix);
  }
  const keyArguments = method.decorator === 'CachedMany' ? argumentsOfItem(method, args) : args;
  return prepareKey(callOption('key', key as (...of: unknown[]) => string, instance, keyArguments), suffix);
}

/** The method that stores entries under a key of its arguments; one that reads them first. */
function storingMethod(prototype: object, name: PropertyKey): DecoratedMethod {
  const storing = decoratedMethodsOf(prototype).filter(({ role, hasResultKey }) => role !== 'evict' && !hasResultKey);
  const named = storing.filter((method) => method.name === name);
  const method = named.find(({ role }) => role === 'read') ?? named[0];
  if (method === undefined) {
    const names = storing.map((each) => String(each.name));
    const meant = suggest(String(name), names);
    const hint = meant === undefined ? '' : ` (did you mean "${meant}"?)`;
    throw new CacheKeyError(
      `${prototype.constructor.name}.${String(name)} has no @Cached, @CachedMany or @CachePut with a key of its arguments${hint}`,
      'Name a method with such a decorator',
    );
  }
  return method;
}

function suffixOf(method: DecoratedMethod, instance: WithCacheSlot | undefined): string {
  const { varyBy, instanceKey, namespace, declaring, name } = method;
  const caller = callerName(declaring, name);
  const cache = instance?.[CACHE_SLOT];
  const suffixes = new KeySuffix(method, caller);
  if (instance === undefined && (instanceKey !== undefined || varyBy !== undefined)) {
    const option = instanceKey === undefined ? 'varyBy' : 'instanceKey';
    throw new CacheKeyError(`The key of ${caller} needs more than its class (${option})`, 'Pass the instance to keyOf');
  }
  if (instance === undefined || varyBy === undefined) {
    return suffixes.ofInstance(instance ?? {});
  }
  const suffix =
    cache !== undefined && 'getCache' in cache ? suffixes.of(cache.getCache(namespace), instance) : undefined;
  if (suffix === undefined) {
    throw new CacheKeyError(
      `The key of ${caller} depends on the request (varyBy: ${varyBy.join(', ')}), which is not known`,
      'Pass an instance that Nest has made, in a request that has these dimensions, or within CacheContext.run',
    );
  }
  return suffix;
}

function argumentsOfItem({ declaring, name }: DecoratedMethod, [items, ...rest]: unknown[]): unknown[] {
  if (!Array.isArray(items) || items.length !== 1) {
    throw new CacheKeyError(
      `${callerName(declaring, name)} (@CachedMany) has a key for each item`,
      'Pass a list of one item to keyOf',
    );
  }
  return [items[0], ...rest];
}
