import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cacheable } from '@type-cacheable/core';
import { useAdapter } from '@type-cacheable/lru-cache-adapter';
import { createCache } from 'cache-manager';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import { Cached, DistributedCacheModule } from 'nestjs-distributed-cache';
import type { Contestant } from '../measure/contestant.js';
import type { RedisServer } from '../support/redis-server.js';
import type { DataSource } from '../support/data-source.js';
import { asyncCacheDedupe } from './local-hit.js';
import { HOUR_MS, MAX_ENTRIES } from './two-tiers.js';

/** `await shop.product(id)`: calls of a cached method whose result is in memory. */
export async function cachedMethodContestants(server: RedisServer, source: DataSource): Promise<Contestant[]> {
  return [
    methodOverLru(source),
    await ours(server, source),
    await ours(server, source, 'frozen'),
    await asyncCacheDedupe(source).open(),
    methodOverCacheManager(source),
    typeCacheable('type-cacheable, own key', source, { cacheKey: ([id]: unknown[]) => String(id) }),
    typeCacheable('type-cacheable, its default key', source, {}),
  ];
}

const CALL = 'shop.product(key)';

function methodOverLru(source: DataSource): Contestant {
  class Shop {
    private readonly lru = new LRUCache<string, object>({ max: MAX_ENTRIES });

    async product(id: string): Promise<object> {
      const found = this.lru.get(id);
      if (found !== undefined) {
        return found;
      }
      const value = await source.load();
      this.lru.set(id, value);
      return value;
    }
  }
  return { name: 'async method over lru-cache', role: 'floor', call: CALL, scope: { shop: new Shop() } };
}

/** The names of this library's rows, by the mode of its values. */
export const METHODS = {
  cloned: 'nestjs-distributed-cache @Cached()',
  frozen: "nestjs-distributed-cache @Cached({ values: 'frozen' })",
} as const;

/** `@Cached` with its default key, in a Nest application. */
async function ours(
  server: RedisServer,
  source: DataSource,
  values: keyof typeof METHODS = 'cloned',
): Promise<Contestant> {
  class Shop {
    @Cached({ namespace: values, values })
    async product(_id: string): Promise<object> {
      return source.load();
    }
  }
  const redis = { host: server.host, port: server.port };
  @Module({ imports: [DistributedCacheModule.forRoot({ redis })], providers: [Shop] })
  class ShopModule {}
  const application = await NestFactory.createApplicationContext(ShopModule, { logger: false });
  return {
    name: METHODS[values],
    role: 'ours',
    call: CALL,
    scope: { shop: application.get(Shop) },
    close: () => application.close(),
  };
}

function methodOverCacheManager({ load }: DataSource): Contestant {
  class Shop {
    private readonly cache = createCache({ stores: [withoutSerializer()], ttl: HOUR_MS });

    async product(id: string): Promise<object> {
      return this.cache.wrap(id, load);
    }
  }
  return { name: 'method over cache-manager', role: 'peer', call: CALL, scope: { shop: new Shop() } };
}

function withoutSerializer(): Keyv {
  const keyv = new Keyv();
  keyv.serialize = undefined;
  keyv.deserialize = undefined;
  return keyv;
}

function typeCacheable(
  name: string,
  source: DataSource,
  options: { cacheKey?: (args: unknown[]) => string },
): Contestant {
  const lru = new LRUCache<string, object>({ max: MAX_ENTRIES, ttl: HOUR_MS });
  // The types of the adapter refer to the CommonJS declaration of the same class.
  const client = useAdapter(lru as unknown as Parameters<typeof useAdapter>[0]);
  class Shop {
    @Cacheable({ client, ttlSeconds: HOUR_MS / 1000, ...options })
    async product(_id: string): Promise<object> {
      return source.load();
    }
  }
  return { name, role: 'peer', call: CALL, scope: { shop: new Shop() } };
}
