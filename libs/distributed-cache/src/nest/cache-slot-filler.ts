import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { DistributedCache } from '../core/index.js';
import { emptySlot, fillSlot, lacksCache, type WithCacheSlot } from './decorators/cache-slot.js';

/**
 * Gives the cache to instances that Nest did not construct itself: those of `useFactory` and `useValue`. They may
 * outlive the application (a value of a module file, in tests), so the cache is removed from them at its end.
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
