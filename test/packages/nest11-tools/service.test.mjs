/** node:test, on what `nest build` has compiled. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Test } from '@nestjs/testing';
import { DistributedCache, DistributedCacheModule } from 'nestjs-distributed-cache';
import { createTestCache } from 'nestjs-distributed-cache/testing';
import service from './dist/app.service.js';

await test('a decorated service uses the cache of the test', async () => {
  const { cache } = createTestCache();
  const module = await Test.createTestingModule({
    imports: [DistributedCacheModule.forRoot()],
    providers: [service.AppService],
  })
    .overrideProvider(DistributedCache)
    .useValue(cache)
    .compile();
  const instance = module.get(service.AppService);

  assert.equal(await instance.getHello('you'), 'Hello you!');
  assert.equal(await instance.getHello('you'), 'Hello you!');
  assert.equal(instance.runs, 1);
  await module.close();
});
