import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../dist/app.module.js';

it('caches every GET', async () => {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  const runs = async (path, method = 'GET') =>
    (await (await fetch((await app.getUrl()) + path, { method })).json()).runs;
  deepEqual([await runs('/news'), await runs('/news')], [1, 1]);
  deepEqual([await runs('/letters', 'POST'), await runs('/letters', 'POST')], [2, 3]);
  deepEqual([await runs('/time'), await runs('/time')], [1, 1]);
  await app.close();
});
