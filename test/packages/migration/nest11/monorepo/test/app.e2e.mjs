import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { NestFactory } from '@nestjs/core';
import admin from '../dist/apps/admin/apps/admin/src/admin.module.js';
import shop from '../dist/apps/shop/apps/shop/src/shop.module.js';

it('each application caches with the module of the library', async () => {
  for (const [name, module] of [
    ['shop', shop.ShopModule],
    ['admin', admin.AdminModule],
  ]) {
    const app = await NestFactory.create(module, { logger: ['error'] });
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const answers = [await fetch(url), await fetch(url)];
    deepEqual(await Promise.all(answers.map((answer) => answer.json())), [
      { name, runs: 1 },
      { name, runs: 1 },
    ]);
    await app.close();
  }
});
