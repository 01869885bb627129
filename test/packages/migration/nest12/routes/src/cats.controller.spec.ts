import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { CacheModule } from '@nestjs/cache-manager';
import { Test } from '@nestjs/testing';
import { CatsController } from './cats.controller.js';

void it('answers the second request from the cache', async () => {
  const module = await Test.createTestingModule({
    imports: [CacheModule.register()],
    controllers: [CatsController],
  }).compile();
  const app = module.createNestApplication({ logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/cats/1`;
  for (let request = 0; request < 2; request += 1) {
    deepEqual(await (await fetch(url)).json(), { id: '1', runs: 1 });
  }
  await app.close();
});
