import { Logger } from '@nestjs/common';
import type { DistributedCache } from '../../core/index.js';
import { CACHE_SLOT, injectCacheInto, isLoadedTwice, type WithCacheSlot } from './cache-slot.js';

/**
 * A method that these decorators can wrap. The wrapped method always returns a promise, so the original must return
 * one, too.
 */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** The type that the compiler shows when an option's function does not fit the decorated method. */
interface OptionDoesNotFitMethod {
  readonly 'The functions in the options must accept the parameters and the result of the decorated method': never;
}

/** `unknown` if the functions of the options fit the method. */
export type Fits<Args extends unknown[], Result, Method extends AsyncMethod> = [
  (...args: Args) => void,
  (result: Result) => void,
] extends [(...args: Parameters<Method>) => void, (result: Awaited<ReturnType<Method>>) => void]
  ? unknown
  : OptionDoesNotFitMethod;

/** A decorator for asynchronous methods whose parameters begin with `Args` and whose promise holds a `Result`. */
export type AsyncMethodDecorator<Args extends unknown[], Result> = <Method extends AsyncMethod>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<Method> & Fits<Args, Result, Method>,
) => void;

export type AnyMethod = (this: unknown, ...args: unknown[]) => Promise<unknown>;

type WrappedMethod = (this: WithCacheSlot, ...args: unknown[]) => Promise<unknown>;

/** One call of a decorated method, with the cache of its instance's application. */
export type WrappedCall = (
  cache: DistributedCache,
  instance: object,
  args: unknown[],
  original: AnyMethod,
) => Promise<unknown>;

/** The answer to a call with one argument, if memory alone can give it; `undefined` otherwise. Must not throw. */
export type QuickAnswer = (cache: DistributedCache, instance: object, only: unknown) => Promise<unknown> | undefined;

const LOADED_TWICE =
  'This process has loaded nestjs-distributed-cache more than once, for instance as ESM and as CommonJS, and the decorators of one copy do not use the module of another: load it one way (docs/tools.md)';

/**
 * Replaces a method by one that uses the cache. Without a cache (the module is not imported, or the instance was
 * constructed directly) the original method runs, and a warning is logged once; with `enabled: false` it runs without a
 * warning.
 */
export function wrapMethod(
  decorator: string,
  target: object,
  name: string | symbol,
  descriptor: PropertyDescriptor,
  call: WrappedCall,
  quickAnswer?: QuickAnswer,
): void {
  if (typeof name === 'object') {
    const { name: method } = name as { readonly name?: unknown };
    throw new TypeError(
      `@${decorator}() of ${String(method)} is compiled as a decorator of ECMAScript: set experimentalDecorators (and emitDecoratorMetadata) in tsconfig.json, as Nest needs them`,
    );
  }
  if (typeof target === 'function' || typeof descriptor?.value !== 'function') {
    throw new TypeError(`@${decorator}() goes on an instance method; ${String(name)} is none`);
  }
  // The type of the decorator checks the parameters; from here on they are passed through.
  const original = descriptor.value as AnyMethod;
  injectCacheInto(target);
  let hasWarned = false;
  const wrapped = function (this: WithCacheSlot, ...args: unknown[]): Promise<unknown> {
    const cache = this?.[CACHE_SLOT];
    if (cache?.config.enabled === true) {
      return call(cache, this, args, original);
    }
    if (cache === undefined && !hasWarned) {
      hasWarned = true;
      const twice = isLoadedTwice() ? `. ${LOADED_TWICE}` : '';
      Logger.warn(
        `${target.constructor.name}.${String(name)} runs without a cache: import DistributedCacheModule.forRoot() and let Nest make the instance${twice}`,
        'DistributedCache',
      );
    }
    return original.apply(this, args);
  };
  const replacement = quickAnswer === undefined ? wrapped : withQuickAnswer(quickAnswer, wrapped);
  copyIdentity(original, replacement);
  descriptor.value = replacement;
}

/**
 * Adds the quick answer. The function has neither a list of arguments nor a `try`: V8 inlines the path of a hit into
 * the caller as long as it is short, and code within a `try` is slower by a third.
 */
function withQuickAnswer(quickAnswer: QuickAnswer, wrapped: WrappedMethod): WrappedMethod {
  return function (this: WithCacheSlot, only: unknown): Promise<unknown> {
    const cache = this?.[CACHE_SLOT];
    const answer =
      arguments.length === 1 && cache?.config.enabled === true ? quickAnswer(cache, this, only) : undefined;
    return answer ?? wrapped.apply(this, arguments as unknown as unknown[]);
  };
}

/**
 * Copies metadata, name and arity: guards, pipes, routes and OpenAPI are attached to the function itself, and
 * frameworks read its name and arity.
 */
function copyIdentity(from: object, to: object): void {
  for (const key of Reflect.getMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
  }
  for (const property of ['name', 'length']) {
    const descriptor = Object.getOwnPropertyDescriptor(from, property);
    if (descriptor !== undefined) {
      Object.defineProperty(to, property, descriptor);
    }
  }
}
