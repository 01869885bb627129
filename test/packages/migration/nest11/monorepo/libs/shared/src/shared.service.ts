import { CACHE_MANAGER, type Cache } from '@nestjs/cache-manager';
import { Inject, Injectable } from '@nestjs/common';

@Injectable()
export class SharedService {
  private runs = 0;

  constructor(@Inject(CACHE_MANAGER) private readonly cache: Cache) {}

  time(name: string): Promise<{ name: string; runs: number }> {
    return this.cache.wrap(name, async () => ({ name, runs: ++this.runs }));
  }
}
