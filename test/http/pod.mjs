/**
 * An application in a process of its own, controlled by messages: processes.spec.ts starts it with the addresses of the
 * library, the platform and the options of the cache. Its handlers read a row of Redis, as others read a database.
 */
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Redis } from 'ioredis';
import { answerMessages } from '../support/answer-messages.mjs';

const [nest, http, platform, text] = process.argv.slice(2);
const options = JSON.parse(text);
const { DistributedCacheModule } = await import(nest);
const { CachedResponse, HttpCache, HttpCacheModule } = await import(http);
const rows = new Redis(options.redis.url);
let runs = 0;
let loads = 0;

class RowsController {
  async row() {
    runs++;
    const version = await rows.get(`${options.keyPrefix}-row`);
    if (++loads % 3 === 0) {
      await new Promise((resolve) => setTimeout(resolve, loads % 5)); // some answer long after they have read
    }
    return { version: Number(version) };
  }

  refreshed() {
    return this.row();
  }

  async slow() {
    runs++;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { pod: process.pid };
  }

  async hang() {
    runs++;
    process.send({ started: 'hang' });
    await new Promise((resolve) => setTimeout(resolve, 500));
    return { pod: process.pid };
  }
}
const lives = { ttl: '1m', tags: ['rows'] };
/** Stale at once: nearly every request refreshes it in the background. */
const stale = { ttl: '1ms', staleWhileRevalidate: '1m', tags: ['rows'] };
for (const [name, cached] of Object.entries({ row: lives, refreshed: stale, slow: lives, hang: lives })) {
  const method = Object.getOwnPropertyDescriptor(RowsController.prototype, name);
  CachedResponse(cached)(RowsController.prototype, name, method);
  Get(name)(RowsController.prototype, name, method);
}
Controller()(RowsController);

class AppModule {}
Module({
  imports: [DistributedCacheModule.forRoot(options), HttpCacheModule.forRoot({ status: 'reasons' })],
  controllers: [RowsController],
})(AppModule);

const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
const application = await NestFactory.create(AppModule, adapter, { logger: false });
await application.listen(0, '127.0.0.1');
const cache = application.get(HttpCache);

const actions = {
  runs: () => runs,
  /** Changes the row, and purges what was made of it. */
  change: async (version, kind, url) => {
    await rows.set(`${options.keyPrefix}-row`, version);
    const purges = {
      url: () => cache.purge(url),
      soft: () => cache.purge(url, { soft: true }),
      tag: () => cache.purgeTags('rows'),
      all: () => cache.clear(),
    };
    await purges[kind]();
  },
};

answerMessages(actions);
process.send({ started: 'process', port: Number(new URL(await application.getUrl()).port) });
