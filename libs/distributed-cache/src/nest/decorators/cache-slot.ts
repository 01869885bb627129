import { Inject, Injectable, Optional, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { DistributedCache } from '../../core/index.js';

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

/** Gives the instance the cache of its application. */
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

/** Removes the cache from the instance. */
function emptySlot(instance: object): void {
  fillSlot(instance, undefined);
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
    this.filled.splice(0).forEach(emptySlot);
  }
}
