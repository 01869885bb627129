import { Injectable } from '@nestjs/common';
import { describe, expect, it, vi } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { DistributedCache } from '../../core/index.js';
import { Cached } from './cached.decorator.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

interface Book {
  readonly id: number;
  readonly title: string;
}

const asked = vi.fn<(ids: readonly number[], language: string) => void>();

@Injectable()
class Books {
  @CachedMany({ namespace: 'books', key: (id: number, language: string) => `${language}:${id}` })
  async findAll(ids: readonly number[], language: string): Promise<Book[]> {
    asked(ids, language);
    return ids.map((id) => ({ id, title: `${language} ${id}` }));
  }

  @Cached({
    namespace: 'books',
    key: (id: number, language: string) => `${language}:${id}`,
    tags: (id: number) => [`book:${id}`],
  })
  async find(id: number, language: string): Promise<Book> {
    asked([id], language);
    return { id, title: `${language} ${id}` };
  }

  @CacheEvict({ namespace: 'books', tags: (id: number) => [`book:${id}`] })
  async rename(_id: number): Promise<void> {}

  @CachedMany({ namespace: 'books', key: (id: number) => String(id) })
  async findLoosely(ids: readonly number[]): Promise<Book[]> {
    return ids.map((id) => ({ id, title: '' }));
  }
}

async function books(): Promise<Books> {
  const app = await nestForTest({ cache: { redis: false }, providers: [Books] });
  asked.mockClear();
  return app.get(Books);
}

describe('@CachedMany', () => {
  it('runs the method for the missing items only, and returns all results in order', async () => {
    const service = await books();
    await service.find(2, 'en');
    asked.mockClear();
    expect((await service.findAll([3, 2, 1, 3], 'en')).map(({ id }) => id)).toEqual([3, 2, 1, 3]);
    expect(asked.mock.calls).toEqual([[[3, 1], 'en']]);
    expect((await service.findAll([1, 3], 'en')).map(({ id }) => id)).toEqual([1, 3]);
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it('distinguishes calls by their further arguments', async () => {
    const service = await books();
    await service.findAll([1], 'en');
    expect(await service.findAll([1], 'de')).toEqual([{ id: 1, title: 'de 1' }]);
  });

  it('runs the method as written for an argument that is not a list', async () => {
    const service = await books();
    await expect(service.findLoosely('12' as unknown as number[])).rejects.toThrow('ids.map is not a function');
    expect(await service.findLoosely(new Uint8Array([1]) as unknown as number[])).toHaveLength(1);
  });
});

describe('tags in decorators', () => {
  it('evict the entries of the methods that carry them', async () => {
    const service = await books();
    await service.find(1, 'en');
    await service.find(1, 'de');
    await service.find(2, 'en');
    await service.rename(1);
    asked.mockClear();
    await service.find(1, 'en');
    await service.find(1, 'de');
    await service.find(2, 'en');
    expect(asked.mock.calls).toEqual([
      [[1], 'en'],
      [[1], 'de'],
    ]);
  });

  it('takes `tags` of the call, which all of its entries get', async () => {
    @Injectable()
    class Labels {
      runs = 0;
      @CachedMany({
        namespace: 'labels',
        key: (id: number, locale: string) => `${locale}:${id}`,
        tags: (_ids: readonly number[], locale: string) => [locale],
      })
      async labels(ids: readonly number[], _locale: string): Promise<number[]> {
        return ids.map(() => ++this.runs);
      }
    }
    const module = await nestForTest({ providers: [Labels] });
    const labels = module.get(Labels);
    expect([await labels.labels([1, 2], 'de'), await labels.labels([1], 'en')]).toEqual([[1, 2], [3]]);
    await module.get(DistributedCache).getCache('labels').invalidateTags('de');
    expect([await labels.labels([2], 'de'), await labels.labels([1], 'en')]).toEqual([[4], [3]]);
  });
});
