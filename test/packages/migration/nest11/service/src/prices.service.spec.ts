import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { CACHE_MANAGER, CacheModule } from '@nestjs/cache-manager';
import { Test } from '@nestjs/testing';
import { PricesService } from './prices.service';
import { StockService } from './stock.service';

void it('loads a price once, with a cache of its own', async () => {
  const module = await Test.createTestingModule({
    imports: [CacheModule.register()],
    providers: [PricesService, StockService],
  }).compile();
  const prices = module.get(PricesService);
  deepEqual(await prices.price('1'), { id: '1', loads: 1 });
  deepEqual(await prices.price('1'), { id: '1', loads: 1 });
  await prices.change('1');
  deepEqual(await prices.price('1'), { id: '1', loads: 2 });
  deepEqual(await module.get(StockService).remember('1', 7), 7);
  await module.close();
});

void it('asks the cache that a test provides', async () => {
  const asked: string[] = [];
  const cache = { wrap: async (key: string) => asked.push(key) };
  const module = await Test.createTestingModule({
    providers: [PricesService, { provide: CACHE_MANAGER, useValue: cache }],
  }).compile();
  await module.get(PricesService).price('1');
  deepEqual(asked, ['price:1']);
});
