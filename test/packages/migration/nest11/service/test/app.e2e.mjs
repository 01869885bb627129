import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../dist/app.module.js';
import { StockService } from '../dist/stock.service.js';

it('caches a price until it changes, and remembers the stock', async () => {
  const app = await NestFactory.create(AppModule, { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/prices/1`;
  const price = async () => (await fetch(url)).json();
  deepEqual(await price(), { id: '1', loads: 1 });
  deepEqual(await price(), { id: '1', loads: 1 });
  await fetch(url, { method: 'POST' });
  deepEqual(await price(), { id: '1', loads: 2 });
  deepEqual(await app.get(StockService).remember('1', 3), 3);
  await app.close();
});
