import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { CacheEvents, ConfigurationError, type DistributedCacheOptions } from '../core/index.js';
import { createTestCache, FakeClock } from './index.js';

function testCache(options?: DistributedCacheOptions) {
  const made = createTestCache(options);
  onTestFinished(() => made.cache.close());
  return made;
}

describe('FakeClock', () => {
  it('stands still until it is moved', () => {
    const clock = new FakeClock(1000);
    expect(clock.nowMs()).toBe(1000);
    clock.advance(500);
    expect(clock.nowMs()).toBe(1500);
    clock.set(2000);
    expect(clock.nowMs()).toBe(2000);
  });

  it('begins at the same time on every machine', () => {
    expect(new FakeClock().nowMs()).toBe(Date.parse('2030-01-01T00:00:00Z'));
  });

  it('refuses to go back', () => {
    const clock = new FakeClock(1000);
    expect(() => clock.advance(-1)).toThrow(RangeError);
    expect(() => clock.set(999)).toThrow('never goes back');
    expect(() => clock.advance(Number.NaN)).toThrow(RangeError);
    expect(clock.nowMs()).toBe(1000);
  });
});

describe('createTestCache', () => {
  it('expires entries when its clock is moved', async () => {
    const { cache, clock } = testCache({ ttl: '1m' });
    const users = cache.getCache<string>('users');
    const load = vi.fn<() => Promise<string>>(async () => 'Ada');
    await users.getOrSet('user:1', load);
    clock.advance(59_999);
    await users.getOrSet('user:1', load);
    expect(load).toHaveBeenCalledTimes(1);
    clock.advance(1);
    await users.getOrSet('user:1', load);
    expect(load).toHaveBeenCalledTimes(2);
  });

  it('has no Redis and is healthy without one', async () => {
    const { cache } = testCache({ redis: undefined });
    expect(await cache.healthCheck()).toMatchObject({ status: 'up', redisConnected: false });
  });

  it('ignores environment variables', () => {
    vi.stubEnv('CACHE_TTL_DEFAULT', '5');
    vi.stubEnv('REDIS_PORT', 'abc');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(testCache().cache.config.ttlMs).toBe(3_600_000);
  });

  it('refuses the same options as a real cache', () => {
    expect(() => createTestCache({ ttl: -1 })).toThrow(ConfigurationError);
    const misspelt: object = { tll: 5 };
    expect(() => createTestCache(misspelt)).toThrow('tll');
  });

  it('uses a given clock and a given bus', async () => {
    const clock = new FakeClock(5);
    const events = new CacheEvents();
    const onMiss = vi.fn<() => void>();
    events.on('miss', onMiss);
    const made = createTestCache({ clock, events });
    onTestFinished(() => made.cache.close());
    expect(made.clock).toBe(clock);
    await made.cache.getCache('users').get('user:1');
    expect(onMiss).toHaveBeenCalledOnce();
  });
});
