import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { type CacheEventMap, DistributedCache } from '../../core/index.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached, CachedKeywords } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

type Told = CacheEventMap['decoratedCallUncached'];

const isPublic = (id: string) => id !== 'secret';
const isKnown = (id: string): boolean => {
  if (id === 'unknown') {
    throw new RangeError('of alice@example.org');
  }
  return id !== 'secret';
};
const promised = (() => Promise.reject(new Error('late'))) as unknown as () => boolean;

@Injectable()
class Pages {
  runs = 0;

  @Cached({ condition: isPublic })
  async byDefaultKey(_id: string): Promise<number> {
    return ++this.runs;
  }

  @Cached({ namespace: 'pages', key: (id: string) => id, condition: isKnown })
  async byKey(_id: string): Promise<number> {
    return ++this.runs;
  }

  @CachedKeywords({ condition: (_id: string, isDraft: boolean) => !isDraft })
  async words(_id: string, _isDraft: boolean): Promise<number> {
    return ++this.runs;
  }

  @Cached({ condition: promised })
  async promised(): Promise<number> {
    return ++this.runs;
  }

  @CachedMany({ namespace: 'pages', key: (id: string) => id, condition: (ids: readonly string[]) => ids.length < 3 })
  async many(ids: readonly string[]): Promise<number[]> {
    return ids.map(() => ++this.runs);
  }

  @CachePut({ namespace: 'pages', key: (id: string) => id, condition: isKnown })
  async put(_id: string): Promise<number> {
    return ++this.runs;
  }

  @CacheEvict({ namespace: 'pages', key: () => 'home', condition: isKnown })
  async evict(_id: string): Promise<void> {}
}

async function start() {
  const module = await nestForTest({ providers: [Pages] });
  const distributed = module.get(DistributedCache);
  const told: Told[] = [];
  distributed.events.on('decoratedCallUncached', (event) => told.push(event));
  return { pages: module.get(Pages), cache: distributed.getCache<number>('pages'), told };
}

describe('a `condition`', () => {
  it('that returns false lets the method run as written: nothing is read or stored', async () => {
    const { pages, cache, told } = await start();
    expect([await pages.byDefaultKey('home'), await pages.byDefaultKey('home')]).toEqual([1, 1]);
    expect([await pages.byDefaultKey('secret'), await pages.byDefaultKey('secret')]).toEqual([2, 3]);
    await cache.set('secret', -1);
    expect(await pages.byKey('secret')).toBe(4);
    expect(await pages.put('secret')).toBe(5);
    expect(await cache.get('secret')).toBe(-1);
    expect(told).toEqual([]);
  });

  it('gets the arguments of the method, in each decorator', async () => {
    const { pages, cache } = await start();
    expect([await pages.words('a', true), await pages.words('a', true), await pages.words('a', false)]).toEqual([
      1, 2, 3,
    ]);
    expect(await pages.words('a', false)).toBe(3);
    expect(await pages.many(['a', 'b', 'c'])).toEqual([4, 5, 6]);
    expect(await pages.many(['a', 'b'])).toEqual([7, 8]);
    expect(await pages.many(['a', 'b'])).toEqual([7, 8]);
    expect(await pages.many(['a', 'b', 'c'])).toEqual([9, 10, 11]);
    await cache.set('home', -1);
    await pages.evict('secret');
    expect(await cache.get('home')).toBe(-1);
    await pages.evict('public');
    expect(await cache.get('home')).toBeUndefined();
  });

  it('that throws never fails the call: a read is not cached, and it is told once', async () => {
    const { pages, told } = await start();
    expect([await pages.byKey('unknown'), await pages.byKey('unknown')]).toEqual([1, 2]);
    expect([await pages.promised(), await pages.promised()]).toEqual([3, 4]);
    expect(told.map(({ caller, effect }) => `${caller}: ${effect}`)).toEqual([
      'Pages.byKey: not cached',
      'Pages.promised: not cached',
    ]);
    expect(told[0]?.reason).toMatch(/^The option `condition` threw RangeError\. /);
    expect(told[1]?.reason).toMatch(/^The option `condition` returned a promise\. /);
  });

  it('that throws leaves no outdated entry: @CachePut deletes its entry, @CacheEvict evicts', async () => {
    const { pages, cache, told } = await start();
    await cache.setMany([
      ['unknown', -1],
      ['home', -1],
    ]);
    expect(await pages.put('unknown')).toBe(1);
    await pages.evict('unknown');
    expect(await cache.getMany(['unknown', 'home'])).toEqual([undefined, undefined]);
    expect(told.map(({ caller, effect }) => `${caller}: ${effect}`)).toEqual([
      'Pages.put: result not stored',
      'Pages.evict: entries evicted',
    ]);
  });
});
