import { Logger, Inject, Injectable, Optional, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DistributedCache } from '../../core/index.js';
import { DiscoveryService } from '@nestjs/core';

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
    const type = typeof target === 'function' ? target : target.constructor;
    throw new TypeError(
      `@${decorator}() of ${type.name}.${String(name)} is not above an instance method: write \`async ${String(name)}(…) { … }\``,
    );
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

/*
 * How a decorated method finds the cache: Nest fills a slot of the instance with the cache of its application.
 */

/** The property in which an instance with decorated methods holds the cache of its application. */
export const CACHE_SLOT = Symbol('distributed-cache');

/** The slots of all copies of this package in the process. `Symbol.for` makes the name the same in every copy. */
const ALL_SLOTS = Symbol.for('nestjs-distributed-cache:slots');
const allSlots = ((globalThis as { [ALL_SLOTS]?: Set<symbol> })[ALL_SLOTS] ??= new Set()).add(CACHE_SLOT);

/** Whether the process has loaded this package more than once: a decorator of one copy finds no cache of another. */
export function isLoadedTwice(): boolean {
  return allSlots.size > 1;
}

/** An instance whose class has decorated methods; without the module in its application the slot is empty. */
export interface WithCacheSlot {
  [CACHE_SLOT]?: DistributedCache;
}

/**
 * Makes Nest fill the slot of every instance of this class that it constructs, in every scope. There is no registry
 * outside the application, so two applications in one process keep their caches apart. {@link CacheSlotFiller} fills
 * the instances of `useFactory` and `useValue`. The slot is not enumerable, so it does not show in the instance.
 */
export function injectCacheInto(prototype: object): void {
  if (Object.hasOwn(prototype, CACHE_SLOT)) {
    return;
  }
  Object.defineProperty(prototype, CACHE_SLOT, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set(this: object, cache: unknown) {
      fillSlot(this, isCache(cache) || cache === undefined ? cache : MOCKED);
    },
  });
  Optional()(prototype, CACHE_SLOT);
  Inject(DistributedCache)(prototype, CACHE_SLOT);
}

/** What is in the slot in place of a mock: the methods run as written. */
const MOCKED = { config: { enabled: false } } as DistributedCache;

/**
 * Whether this is a cache, and no mock that a test framework injects for it (`useMocker`). Its members are looked at,
 * not its class: an application may have loaded the library twice, as ES module and as CommonJS.
 */
function isCache(value: unknown): value is DistributedCache {
  const { config, bound } = (value ?? {}) as Partial<DistributedCache>;
  return typeof bound === 'function' && typeof config?.enabled === 'boolean';
}

/** Gives the instance the cache of its application; `undefined` removes it. */
function fillSlot(instance: object, cache: DistributedCache | undefined): void {
  if (Object.isExtensible(instance)) {
    Object.defineProperty(instance, CACHE_SLOT, {
      value: cache,
      configurable: true,
      enumerable: false,
      writable: true,
    });
  }
}

/** Whether the instance has decorated methods and no cache yet. */
function lacksCache(instance: unknown): instance is WithCacheSlot {
  return (
    typeof instance === 'object' &&
    instance !== null &&
    CACHE_SLOT in instance &&
    (instance as WithCacheSlot)[CACHE_SLOT] === undefined
  );
}

/**
 * Gives the cache to instances that Nest does not construct itself: those of `useFactory` and `useValue`. They may
 * outlive the application (a value of a module file, in tests), so the cache is removed from them when it ends.
 */
@Injectable()
export class CacheSlotFiller implements OnModuleInit, OnApplicationShutdown {
  private readonly filled: WithCacheSlot[] = [];

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(DistributedCache) private readonly cache: DistributedCache,
  ) {}

  onModuleInit(): void {
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      // For a request-scoped provider the wrapper holds only a prototype; its instances are filled when they are made.
      if (wrapper.isDependencyTreeStatic() && lacksCache(wrapper.instance)) {
        fillSlot(wrapper.instance, this.cache);
        this.filled.push(wrapper.instance);
      }
    }
  }

  onApplicationShutdown(): void {
    this.filled.splice(0).forEach((instance) => fillSlot(instance, undefined));
  }
}
