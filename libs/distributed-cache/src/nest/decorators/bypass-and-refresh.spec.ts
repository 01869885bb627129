import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { DistributedCache } from '../../core/index.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached, CachedMetrics } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

@Injectable()
class Pages {
  runs = 0;

  @Cached()
  async menu(_page: string): Promise<number> {
    return ++this.runs;
  }

  @Cached({ namespace: 'pages', key: (page: string) => page })
  async byKey(_page: string): Promise<number> {
    return ++this.runs;
  }

  @CachedMetrics()
  async nested(page: string): Promise<number> {
    return 100 * (await this.menu(page)) + (await this.byKey(page));
  }

  @CachedMany({ namespace: 'pages', key: (page: string) => page })
  async many(pages: readonly string[]): Promise<number[]> {
    return pages.map(() => ++this.runs);
  }

  @CachePut({ namespace: 'pages', key: (page: string) => page })
  async save(_page: string): Promise<number> {
    return -1;
  }
}

async function start() {
  const module = await nestForTest({ providers: [Pages] });
  const pages = module.get(Pages);
  await pages.nested('a'); // menu: 1, byKey: 2
  return { pages, cache: module.get(DistributedCache) };
}

const readAll = async (pages: Pages) => [
  await pages.menu('a'),
  await pages.byKey('a'),
  await pages.nested('a'),
  await pages.many(['a']),
];

describe('a decorated method', () => {
  it('runs as written in a bypass, with the methods that it calls; the entries stay', async () => {
    const { pages, cache } = await start();
    expect(await cache.bypass(() => readAll(pages))).toEqual([3, 4, 506, [7]]);
    expect(await readAll(pages)).toEqual([1, 2, 102, [2]]);
  });

  it('is loaded anew in a refresh, once, with the methods that it calls', async () => {
    const { pages, cache } = await start();
    expect(await cache.refresh(() => readAll(pages))).toEqual([3, 4, 304, [4]]);
    expect(await readAll(pages)).toEqual([3, 4, 304, [4]]);
    expect(await cache.refresh(() => pages.many(['a', 'b']))).toEqual([5, 6]);
    expect(await pages.byKey('a')).toBe(5);
  });

  it('with @CachePut stores in a refresh, and deletes its entry in a bypass', async () => {
    const { pages, cache } = await start();
    expect(await cache.refresh(async () => [await pages.save('a'), await pages.byKey('a')])).toEqual([-1, -1]);
    expect(await cache.bypass(() => pages.save('a'))).toBe(-1);
    expect(await pages.byKey('a')).toBe(3);
  });
});
