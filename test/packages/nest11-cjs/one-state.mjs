/** One process loads the package by `import` and by `require`: both get the same classes, tokens and caches. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as imported from 'nestjs-distributed-cache';

const require = createRequire(import.meta.url);
const required = require('nestjs-distributed-cache');
const { CommonJsService } = require('./decorated-service.cjs');

assert.equal(required.DistributedCache, imported.DistributedCache);
assert.equal(required.getCacheToken('default'), imported.getCacheToken('default'));
for (const entry of ['core', 'health', 'prometheus', 'testing']) {
  const [mine, theirs] = [
    await import(`nestjs-distributed-cache/${entry}`),
    require(`nestjs-distributed-cache/${entry}`),
  ];
  for (const name of Object.keys(mine)) {
    assert.equal(theirs[name], mine[name], `${entry}: ${name}`);
  }
}

class AppModule {}
Module({ imports: [imported.DistributedCacheModule.forRoot({ redis: false })], providers: [CommonJsService] })(
  AppModule,
);
const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
assert.equal(app.get(required.DistributedCache), app.get(imported.DistributedCache));

const service = app.get(CommonJsService);
assert.equal(await service.greet('you'), 'Hello you');
assert.equal(await service.greet('you'), 'Hello you');
assert.equal(service.runs, 1, 'the second call must be answered from the cache');
await app.close();
