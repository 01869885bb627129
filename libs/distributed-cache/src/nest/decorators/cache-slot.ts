import { Inject, Optional } from '@nestjs/common';
import { DistributedCache } from '../../core/index.js';

/** The property in which an instance with decorated methods holds the cache of its application. */
export const CACHE_SLOT = Symbol('distributed-cache');

/** An instance whose class has decorated methods; without the module in its application the slot is empty. */
export interface WithCacheSlot {
  [CACHE_SLOT]?: DistributedCache;
}

const prepared = new WeakSet<object>();

/**
 * Makes Nest fill the slot of every instance that it constructs of this class, in every scope. There is no registry
 * outside the application, so two applications in one process keep their caches apart. Instances of `useFactory` and
 * `useValue` are filled by `CacheSlotFiller`. The slot is not enumerable: the instance looks as it did before.
 */
export function injectCacheInto(prototype: object): void {
  if (prepared.has(prototype)) {
    return;
  }
  prepared.add(prototype);
  Object.defineProperty(prototype, CACHE_SLOT, {
    configurable: true,
    enumerable: false,
    get: () => undefined,
    set(this: object, cache: DistributedCache | undefined) {
      fillSlot(this, cache);
    },
  });
  Optional()(prototype, CACHE_SLOT);
  Inject(DistributedCache)(prototype, CACHE_SLOT);
}

/** Gives the instance the cache of its application. */
export function fillSlot(instance: object, cache: DistributedCache | undefined): void {
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
export function emptySlot(instance: object): void {
  fillSlot(instance, undefined);
}

/** Whether the instance has decorated methods and no cache yet. */
export function lacksCache(instance: unknown): instance is WithCacheSlot {
  return (
    typeof instance === 'object' &&
    instance !== null &&
    CACHE_SLOT in instance &&
    (instance as WithCacheSlot)[CACHE_SLOT] === undefined
  );
}
