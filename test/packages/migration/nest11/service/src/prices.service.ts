import { CACHE_MANAGER } from '@nestjs/cache-manager';
import { Inject, Injectable } from '@nestjs/common';
import type { Cache } from 'cache-manager';

@Injectable()
export class PricesService {
  loads = 0;

  constructor(@Inject(CACHE_MANAGER) private readonly cache: Cache) {}

  price(id: string): Promise<{ id: string; loads: number }> {
    return this.cache.wrap(`price:${id}`, async () => ({ id, loads: ++this.loads }), 30_000);
  }

  async change(id: string): Promise<void> {
    await this.cache.del(`price:${id}`);
  }
}
