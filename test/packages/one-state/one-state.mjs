/**
 * One process loads the package twice: this ESM file imports it, and the CommonJS library that this file imports
 * requires it. Both get one state. It also runs as a bundle, in jest and in tsx.
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as imported from 'nestjs-distributed-cache';
import * as importedHttp from 'nestjs-distributed-cache/http';
import library from './library.cjs';

const { CommonJsService, decorate, LibraryModule, Money, required, requiredHttp } = library;

for (const [names, others] of [
  [imported, required],
  [importedHttp, requiredHttp],
]) {
  for (const [name, value] of Object.entries(names)) {
    assert.equal(others[name], value, `${name} is another one for require than for import`);
  }
}

class EsmService {
  runs = 0;

  /** @param {number} cents */
  async price(cents) {
    this.runs += 1;
    return new Money(cents);
  }
}
decorate(EsmService, 'price', imported.Cached({ ttl: '5m' }));
Injectable()(EsmService);

class AppModule {}
Module({ imports: [LibraryModule], providers: [EsmService] })(AppModule);
const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
const [mine, theirs] = [app.get(EsmService), app.get(CommonJsService)];

for (let call = 0; call < 2; call += 1) {
  assert.equal(await theirs.greet('you'), 'Hello you');
  const price = await mine.price(250);
  assert.ok(price instanceof Money);
  assert.equal(price.cents, 250);
}
assert.deepEqual([mine.runs, theirs.runs], [1, 1], 'the second call must be answered from the cache');

const cache = app.get(imported.DistributedCache);
assert.equal(app.get(required.DistributedCache), cache);
assert.equal(
  cache.getMetrics().reduce((hits, metrics) => hits + metrics.hits, 0),
  2,
  'both services use one cache',
);
assert.throws(
  () => required.CacheConfig.fromEnv({ CACHE_TTL_DEFAULT: 'soon' }),
  (error) => error instanceof imported.ConfigurationError && error instanceof imported.CacheError,
);
await app.close();
console.log('one state');
