import { deepEqual, equal } from 'node:assert/strict';
import { it } from 'node:test';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../dist/app.module.js';

it('keeps users in Redis, for the next process too', async () => {
  const started = async () => {
    const app = await NestFactory.create(AppModule, { logger: ['error'] });
    await app.listen(0, '127.0.0.1');
    return { app, url: await app.getUrl() };
  };
  const json = async (url) => (await fetch(url)).json();
  const first = await started();
  await fetch(`${first.url}/users/1?name=Ada`, { method: 'PUT' });
  equal((await json(`${first.url}/users/1`)).name, 'Ada');
  deepEqual([await json(`${first.url}/count`), await json(`${first.url}/count`)], [{ runs: 1 }, { runs: 1 }]);
  await first.app.close();
  const second = await started();
  equal((await json(`${second.url}/users/1`)).name, 'Ada');
  await second.app.close();
});
