import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../dist/app.module.js';

it('caches the routes with the interceptor, and no other', async () => {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  const runs = async (path, method = 'GET') =>
    (await (await fetch((await app.getUrl()) + path, { method })).json()).runs;
  deepEqual([await runs('/cats/1'), await runs('/cats/1'), await runs('/cats/2')], [1, 1, 2]);
  deepEqual([await runs('/cats', 'POST'), await runs('/cats', 'POST')], [3, 4]);
  deepEqual([await runs('/dogs/cached'), await runs('/dogs/cached')], [1, 1]);
  deepEqual([await runs('/dogs/fresh'), await runs('/dogs/fresh')], [2, 3]);
  await app.close();
});
