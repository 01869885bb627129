import { Cache } from '@nestjs/cache-manager';
import { Injectable } from '@nestjs/common';

@Injectable()
export class StockService {
  constructor(private readonly cache: Cache) {}

  async remember(id: string, count: number): Promise<number | undefined> {
    await this.cache.set(`stock:${id}`, count);
    return (await this.cache.get<number>(`stock:${id}`)) ?? undefined;
  }
}
