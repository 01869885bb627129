import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, expectTypeOf, it, vi } from 'vitest';
import {
  CachedClass,
  type CachedClassOptions,
  type CacheEventMap,
  type ClassRegistration,
  type CompressionOptions,
  type DistributedCacheOptions,
  type EncryptionOptions,
  type NamespaceOptions,
} from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { heldLoad } from '../support/gate.js';
import { redisForTest } from '../support/redis-for-test.js';
import { podsForTest } from './pods.js';

/**
 * Every string and buffer in the properties of an object, at any depth: `inspect` repeats a shared object at each
 * place.
 */
function textsWithin(root: object): string[] {
  const texts: string[] = [];
  const seen = new Set<unknown>([root]);
  for (const each of seen) {
    if (typeof each === 'string') {
      texts.push(each);
    } else if (Buffer.isBuffer(each)) {
      texts.push(each.toString('base64'), each.toString('hex'), each.toString('latin1'));
    } else if (typeof each === 'object' && each !== null && !ArrayBuffer.isView(each)) {
      const values = Object.values(Object.getOwnPropertyDescriptors(each)).map(({ value }) => value as unknown);
      const entries: unknown[] = each instanceof Map || each instanceof Set ? [...each.entries()].flat() : [];
      [...values, ...entries].forEach((value) => seen.add(value));
    }
  }
  return texts;
}

class Money {
  constructor(
    readonly cents: number,
    readonly currency: string,
  ) {}

  get euros() {
    return this.cents / 100;
  }
}

class Temperature {
  readonly #kelvin: number;
  constructor(kelvin: number) {
    this.#kelvin = kelvin;
  }
  get kelvin() {
    return this.#kelvin;
  }
}

describe('instances of registered classes', () => {
  const classes = {
    Money,
    Temperature: {
      class: Temperature,
      serialize: (temperature: Temperature) => temperature.kelvin,
      deserialize: (kelvin: number) => new Temperature(kelvin),
    },
  };

  it.each(['frozen', 'cloned', 'shared'] as const)('are returned as instances by every tier (%s)', async (values) => {
    const { one, two, complaints } = podsForTest({ values }, { codec: { classes } });
    await one.getOrSet('a', () => ({ price: new Money(150, 'EUR'), outside: [new Temperature(280)], at: new Date(0) }));
    for (const pod of [one, one, two, two]) {
      const { price, outside } = Object(await pod.get('a'));
      expect(price).toStrictEqual(new Money(150, 'EUR'));
      expect(price.euros).toBe(1.5);
      expect(outside[0].kelvin).toBe(280);
    }
    expect(complaints).toEqual([]);
  });

  it('of an older version are migrated, and those of an unknown class or version are a miss', async () => {
    const redis = redisForTest();
    const open = (registration: DistributedCacheOptions['codec']) => {
      const { url, keyPrefix } = redis;
      return cacheForTest({ redis: { url }, keyPrefix, codec: registration }).getCache('prices');
    };
    await open({ classes: { Money } }).set('a', new Money(150, 'EUR'));

    class Price {
      amount = 0;
    }
    CachedClass({ version: 2, migrate: (data: { cents: number }) => ({ amount: data.cents / 100 }) })(Price);
    expect(await open({ classes: { Money: Price } }).get('a')).toStrictEqual(
      Object.assign(new Price(), { amount: 1.5 }),
    );
    expect(await open({ classes: { Money: { class: Money, version: 2 } } }).get('a')).toBeUndefined();
    const unregistered = open({});
    expect(await unregistered.get('a')).toBeUndefined();
    expect(await unregistered.getOrSet('a', () => 'loaded')).toBe('loaded');
  });
});

describe('instances of classes that are not registered', () => {
  class Guarded {
    readonly #id = 1;
    get id() {
      return this.#id;
    }
  }

  it.each(['frozen', 'cloned', 'shared'] as const)('are returned as instances by every tier (%s)', async (values) => {
    const { one, two, complaints } = podsForTest({ values });
    await one.getOrSet('a', () => ({ price: new Money(150, 'EUR'), list: [new Money(1, 'EUR')] }));
    // The second process has stored no instance of the class yet: its first read is a miss, which loads.
    await two.getOrSet('b', () => new Money(0, 'EUR'));
    for (const pod of [one, one, two, two]) {
      const { price, list } = Object(await pod.get('a'));
      expect([price, list]).toStrictEqual([new Money(150, 'EUR'), [new Money(1, 'EUR')]]);
      expect(price.euros).toBe(1.5);
    }
    expect(complaints).toEqual([]);
  });

  it('are a miss in a process that does not know the class: it loads, knows the class, and is told once', async () => {
    const { url, keyPrefix } = redisForTest();
    const [one, two] = [cacheForTest({ redis: { url }, keyPrefix }), cacheForTest({ redis: { url }, keyPrefix })];
    const told: CacheEventMap['classUnknown'][] = [];
    two.events.on('classUnknown', (event) => told.push(event));
    const [writer, reader] = [one.getCache('prices'), two.getCache('prices')];
    await writer.set('a', new Money(150, 'EUR'));
    await writer.set('b', [new Money(1, 'EUR')]);
    expect(await reader.getMany(['a', 'b'])).toEqual([undefined, undefined]);
    expect(await reader.get('a')).toBeUndefined();
    expect(await reader.getOrSet('a', () => new Money(7, 'EUR'))).toStrictEqual(new Money(7, 'EUR'));
    expect(await reader.get('b')).toStrictEqual([new Money(1, 'EUR')]);
    expect(told).toEqual([{ namespace: 'prices', className: 'Money' }]);
    expect(reader.getMetrics().errors).toBe(0);
  });

  it('end the wait for a load of another process with a load of its own, when the class is not known', async () => {
    const { one, two } = podsForTest();
    await Promise.all([one.get('other'), two.get('other')]);
    const load = await heldLoad(one, new Money(1, 'EUR'));
    const loader = vi.fn(() => new Money(2, 'EUR'));
    const waiting = two.getOrSet('key', loader);
    load.release();
    expect(await load.answer).toStrictEqual(new Money(1, 'EUR'));
    expect(await waiting).toStrictEqual(new Money(2, 'EUR'));
    expect(loader).toHaveBeenCalledTimes(1);
    await vi.waitFor(async () => expect(await one.get('key')).toStrictEqual(new Money(2, 'EUR')));
  });

  it('are returned and not cached when they can not be restored; the event names class, place and remedy', async () => {
    const cache = cacheForTest({ redis: false });
    const told: CacheEventMap['valueRefused'][] = [];
    cache.events.on('valueRefused', (event) => told.push(event));
    const guards = cache.getCache('guards');
    const given = { guard: new Guarded() };
    expect(await guards.getOrSet('a', () => given)).toBe(given);
    expect(await guards.set('a', given)).toBe(false);
    expect(await guards.get('a')).toBeUndefined();
    expect(told).toHaveLength(2);
    expect(told[0]).toMatchObject({ namespace: 'guards', key: 'a', className: 'Guarded' });
    expect(told[0]?.reason).toMatch(/a Guarded at value\.guard: .*#private.*@CachedClass\(.*flatten: true/);
  });

  it('are plain objects in every tier where flatten asks for that, and nothing is told', async () => {
    const { one, two, complaints } = podsForTest({ flatten: true });
    const given = { price: new Money(1, 'EUR'), guard: new Guarded(), at: { toJSON: () => new Date(0) } };
    const plain = { price: { cents: 1, currency: 'EUR' }, guard: {}, at: new Date(0) };
    expect(await one.getOrSet('a', () => given)).toStrictEqual(plain);
    for (const pod of [one, two, two]) {
      expect(await pod.get('a')).toStrictEqual(plain);
    }
    expect(complaints).toEqual([]);
  });

  it('are refused in text for other programs, which has no classes, unless flatten asks for plain objects', async () => {
    const text = podsForTest({ format: 'json' });
    expect(await text.one.set('a', new Money(1, 'EUR'))).toBe(false);
    expect(text.complaints[0]).toContain('keeps no class');
    const flat = podsForTest({ format: 'json', flatten: true });
    expect(await flat.one.set('a', new Money(1, 'EUR'))).toBe(true);
    expect(await flat.two.get('a')).toStrictEqual({ cents: 1, currency: 'EUR' });
  });
});

describe('@CachedClass', () => {
  @CachedClass({
    name: 'test.Celsius',
    serialize: (celsius) => (celsius as Celsius).degrees,
    deserialize: (degrees) => new Celsius(degrees as number),
  })
  class Celsius {
    readonly #degrees: number;
    constructor(degrees: number) {
      this.#degrees = degrees;
    }
    get degrees() {
      return this.#degrees;
    }
  }

  it('makes a class known to every cache of the process, before it has stored an instance', async () => {
    @CachedClass()
    class Ticket {
      constructor(readonly seat: string) {}
    }
    const { one, two, complaints } = podsForTest();
    await one.set('a', [new Ticket('12F')]);
    expect(await two.get('a')).toStrictEqual([new Ticket('12F')]);
    expect(complaints).toEqual([]);
  });

  it.each(['frozen', 'cloned', 'shared'] as const)('restores private state through serialize (%s)', async (values) => {
    const { one, two, complaints } = podsForTest({ values });
    await one.set('a', { outside: new Celsius(21) });
    for (const pod of [one, one, two, two]) {
      expect(Object(await pod.get('a')).outside.degrees).toBe(21);
    }
    expect(complaints).toEqual([]);
  });

  it('refuses wrong options and a class without a name, with the option and what is allowed', () => {
    expect(() => CachedClass({ version: 0 })(class Wrong {})).toThrow(/@CachedClass\.version: got 0/);
    expect(() => CachedClass({ versoin: 1 } as object)(class Wrong {})).toThrow(/@CachedClass\.versoin/);
    expect(() => CachedClass()(class {})).toThrow(/@CachedClass\.name/);
  });
});

describe('a value after a set', () => {
  it.each([5, 400])('with a total on its %i rows is refused at any size, and told', async (count) => {
    const { one, two, complaints } = podsForTest({ values: 'frozen' });
    const rows = Object.assign(
      Array.from({ length: count }, (_, id) => ({ id, name: `row ${id}` })),
      { total: count },
    );
    expect(await one.set('a', rows)).toBe(false);
    expect([await one.get('a'), await two.get('a')]).toEqual([undefined, undefined]);
    expect(complaints[0]).toContain('an Array at value: it has named properties');
  });
});

describe('encryption', () => {
  const [k1, k2] = [randomBytes(32), randomBytes(32).toString('base64')];

  it('hides values from readers of Redis, and not from other processes', async () => {
    const { redis, one, two, keyOf, complaints } = podsForTest(
      { grace: '1h' },
      { encryption: { keys: { k1 }, current: 'k1' } },
    );
    await one.set('a', { card: '4111 1111 1111 1111' });
    await one.getOrSet('b', () => new Map([['card', '4111 1111 1111 1111']]));
    for (const key of ['a', 'b']) {
      const bytes = await redis.admin.getBuffer(keyOf(key));
      expect(bytes?.includes('4111')).toBe(false);
      expect(bytes?.includes('card')).toBe(false);
    }
    expect(await two.getMany(['a', 'b'])).toStrictEqual([
      { card: '4111 1111 1111 1111' },
      new Map([['card', '4111 1111 1111 1111']]),
    ]);
    expect(await one.expire('a')).toBe(true);
    await vi.waitFor(async () => expect(await two.lookup('a')).toMatchObject({ state: 'stale' }));
    expect(complaints).toEqual([]);
  });

  it('turns an entry that was moved to another key, or forged, into a miss that is counted', async () => {
    const { redis, one, two, keyOf, complaints } = podsForTest({}, { encryption: { keys: { k1 }, current: 'k1' } });
    await one.set('mine', 'secret of mine');
    await redis.admin.copy(keyOf('mine'), keyOf('yours'));
    await redis.admin.set(keyOf('planted'), '"planted"');
    expect(await two.getMany(['yours', 'planted', 'mine'])).toEqual([undefined, undefined, 'secret of mine']);
    expect(await two.getOrSet('yours', () => 'yours')).toBe('yours');
    expect(two.getMetrics().errors).toBeGreaterThanOrEqual(2);
    expect(complaints.join()).not.toContain('secret of mine');
  });

  it('lets keys rotate; an entry under a removed key is a miss, never an error of the caller', async () => {
    const redis = redisForTest();
    const open = (encryption: EncryptionOptions) => {
      const { url, keyPrefix } = redis;
      return cacheForTest({ redis: { url }, keyPrefix, encryption }).getCache('x');
    };
    await open({ keys: { k1 }, current: 'k1' }).set('old', 1);
    const both = open({ keys: { k1, k2 }, current: 'k2' });
    await both.set('new', 2);
    expect(await both.getMany(['old', 'new'])).toEqual([1, 2]);
    const late = open({ keys: { k2 }, current: 'k2' });
    expect(await late.getMany(['old', 'new'])).toEqual([undefined, 2]);
    expect(await late.getOrSet('old', () => 'again')).toBe('again');
    expect(late.getMetrics().errors).toBeGreaterThanOrEqual(1);
  });

  it('shows no key: not in the cache, its configuration, its health or its metrics', async () => {
    const { url, keyPrefix } = redisForTest();
    const cache = cacheForTest({ redis: { url }, keyPrefix, encryption: { keys: { k1, k2 }, current: 'k2' } });
    await cache.getCache('x').set('a', 1);
    const text = [
      ...textsWithin(cache),
      ...textsWithin(cache.getCache('x')),
      inspect(cache, { depth: 4, showHidden: true }),
      inspect(cache.getCache('x'), { depth: 4, showHidden: true }),
      JSON.stringify([cache.config, await cache.healthCheck(), cache.getMetrics()]),
    ].join();
    for (const secret of [k2, k1.toString('base64'), k1.toString('hex'), Buffer.from(k2, 'base64').toString('hex')]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe('the options of the Nest entry and of the core', () => {
  it('have matching types', () => {
    expectTypeOf<DistributedCacheOptions['encryption']>().toEqualTypeOf<false | EncryptionOptions | undefined>();
    expectTypeOf<NamespaceOptions['compression']>().toEqualTypeOf<false | CompressionOptions | undefined>();
    expectTypeOf<NamespaceOptions['format']>().toEqualTypeOf<
      'envelope' | 'json' | 'keyv' | 'cache-manager' | undefined
    >();
    expectTypeOf<CompressionOptions['codec']>().toEqualTypeOf<
      'deflate' | 'gzip' | 'brotli' | 'zstd' | 'lz4' | 'snappy' | undefined
    >();
    expectTypeOf<ClassRegistration>().toHaveProperty('migrate');
    expectTypeOf(CachedClass).returns.toBeFunction();
    expectTypeOf(CachedClass).parameter(0).toEqualTypeOf<CachedClassOptions | undefined>();
    expectTypeOf<CachedClassOptions['name']>().toEqualTypeOf<string | undefined>();
    expectTypeOf<NamespaceOptions['flatten']>().toEqualTypeOf<boolean | undefined>();
    expectTypeOf<CacheEventMap['valueRefused']['className']>().toEqualTypeOf<string | undefined>();
    expectTypeOf<CacheEventMap['classUnknown']>().toEqualTypeOf<
      { readonly namespace: string } & { readonly className: string }
    >();
  });
});
