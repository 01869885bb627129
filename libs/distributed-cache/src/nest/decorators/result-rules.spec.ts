import { Injectable } from '@nestjs/common';
import { describe, expect, it, vi } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { type CacheEventMap, DistributedCache } from '../../core/index.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached } from './cached.decorator.js';
import type { CachedOptions } from './decorator-options.js';

interface Token {
  readonly value: number;
  readonly expiresIn: number;
}

const promised = (value: unknown) => (() => Promise.resolve(value)) as unknown;
const fail = (): never => {
  throw new RangeError('of alice@example.org');
};

type Rules = Pick<CachedOptions<unknown[], Token>, 'ttl' | 'cacheIf'>;

async function start(rules: Rules) {
  @Injectable()
  class Tokens {
    runs = 0;
    @Cached({ namespace: 'tokens', key: () => 'token', ...rules })
    async get(expiresIn: number): Promise<Token> {
      return { value: ++this.runs, expiresIn };
    }
    @CachePut({ namespace: 'tokens', key: () => 'token', ...rules })
    async renew(expiresIn: number): Promise<Token> {
      return { value: ++this.runs, expiresIn };
    }
  }
  const module = await nestForTest({ providers: [Tokens] });
  const told: CacheEventMap['valueRefused'][] = [];
  module.get(DistributedCache).events.on('valueRefused', (event) => told.push(event));
  return { tokens: module.get(Tokens), cache: module.get(DistributedCache).getCache<Token>('tokens'), told };
}

describe('a rule about the result', () => {
  it.each<[string, Rules, string]>([
    ['a `ttl` of less than 0', { ttl: ({ expiresIn }) => expiresIn - 60 }, 'its ttl is not a duration'],
    ['a `ttl` of 0', { ttl: () => 0 }, 'its ttl is not longer than 0'],
    ['a `ttl` that is not a number', { ttl: () => Number.NaN }, 'its ttl is not a duration'],
    ['a `ttl` that throws', { ttl: fail }, 'ttl threw RangeError'],
    ['a `ttl` that returns a promise', { ttl: promised(60) as () => number }, 'its ttl is not a duration'],
    ['a `cacheIf` that throws', { cacheIf: fail }, 'cacheIf threw RangeError'],
    ['a `cacheIf` that returns a promise', { cacheIf: promised(true) as () => boolean }, 'cacheIf returned a promise'],
  ])('never makes a call fail that has succeeded: %s', async (_title, rules, reason) => {
    const { tokens, cache, told } = await start(rules);
    expect(await tokens.get(30)).toEqual({ value: 1, expiresIn: 30 });
    expect(await tokens.get(30)).toEqual({ value: 2, expiresIn: 30 });
    await cache.set('token', { value: 0, expiresIn: 0 });
    expect(await tokens.renew(30)).toEqual({ value: 3, expiresIn: 30 });
    expect(await cache.lookup('token')).toEqual({ state: 'miss' });
    expect(told).toHaveLength(3);
    expect(told[0]).toMatchObject({ namespace: 'tokens', key: 'token', reason: expect.stringContaining(reason) });
  });

  it.each<[string, (error: unknown) => boolean]>([
    ['throws', fail],
    ['returns a promise', promised(true) as () => boolean],
  ])('leaves the caller the error of the method when `staleIf` %s', async (_title, staleIf) => {
    const error = new TypeError('no database');
    @Injectable()
    class Tokens {
      @Cached({ namespace: 'tokens', key: () => 'token', staleIf })
      async get(): Promise<Token> {
        throw error;
      }
    }
    const module = await nestForTest({
      providers: [Tokens],
      cache: { redis: false, namespaces: { tokens: { grace: '1h' } } },
    });
    const cache = module.get(DistributedCache).getCache<Token>('tokens');
    await cache.set('token', { value: 0, expiresIn: 0 });
    await cache.expire('token');
    await vi.waitFor(async () => expect(await cache.get('token')).toBeUndefined());
    await expect(module.get(Tokens).get()).rejects.toBe(error);
  });

  it('is asked once for each result', async () => {
    let asked = 0;
    const { tokens, cache, told } = await start({ ttl: ({ expiresIn }) => expiresIn + asked++, cacheIf: () => true });
    await tokens.get(60);
    expect(asked).toBe(1);
    await tokens.renew(90);
    expect(asked).toBe(2);
    const lookup = await cache.lookup('token');
    expect(lookup.state === 'miss' ? 0 : lookup.ttlMs).toBeGreaterThan(80_000);
    expect(told).toEqual([]);
  });
});
