/**
 * An application with the admin page in a process of its own, controlled by messages: processes.spec.ts starts it with the
 * addresses of the library, the platform and the options of the cache.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { answerMessages } from '../support/answer-messages.mjs';

const [nest, dashboard, platform, text] = process.argv.slice(2);
const { DistributedCache, DistributedCacheModule } = await import(nest);
const { DistributedCacheDashboardModule } = await import(dashboard);

class AppModule {}
Module({
  imports: [
    DistributedCacheModule.forRoot(JSON.parse(text)),
    DistributedCacheDashboardModule.forRoot({ path: 'cache', access: () => true, actions: true, keys: 'whole' }),
  ],
})(AppModule);

const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
const application = await NestFactory.create(AppModule, adapter, { logger: false });
await application.listen(0, '127.0.0.1');
const cache = application.get(DistributedCache).getCache('users');
let loads = 0;

answerMessages({
  read: async (key) => {
    await cache.getOrSet(
      key,
      async () => {
        loads++;
        return key;
      },
      { tags: ['team'] },
    );
    return loads;
  },
  metrics: () => cache.getMetrics().toJSON(),
  /** Whether L1 answers for the key. */
  isUsed: async (key) => {
    const { local } = await cache.inspect(key);
    return local.state === 'fresh' && local.isCurrent && local.isTrusted;
  },
});
process.send({ started: 'process', port: Number(new URL(await application.getUrl()).port) });
