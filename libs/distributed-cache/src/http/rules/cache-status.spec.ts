import { parseList, Token } from 'structured-headers';
import { describe, expect, it } from 'vitest';
import { appended, cacheStatusMember, type CacheStatus } from './cache-status.js';

describe('cacheStatusMember (RFC 9211 section 2)', () => {
  it.each<[CacheStatus, string]>([
    [{ ttlSeconds: 59.9 }, 'http; hit; ttl=59'],
    [{ ttlSeconds: -0.5 }, 'http; hit; ttl=-1'],
    [{ forward: 'uri-miss', isStored: true }, 'http; fwd=uri-miss; stored'],
    [
      { forward: 'stale', forwardStatus: 304, isStored: true, ttlSeconds: 60 },
      'http; fwd=stale; fwd-status=304; ttl=60; stored',
    ],
    [{ forward: 'miss', isCollapsed: true }, 'http; fwd=miss; collapsed'],
    [{ forward: 'bypass', detail: 'cookie' }, 'http; fwd=bypass; detail=cookie'],
  ])('of %j is %s', (status, member) => {
    const text = cacheStatusMember('http', status);
    expect(text.replaceAll(';', '; ')).toBe(member);
    expect(parseList(text)[0]?.[0]).toEqual(new Token('http'));
  });

  it('names the cache by a string where its name is no token', () => {
    expect(parseList(cacheStatusMember('my "cache"', {}))[0]?.[0]).toBe('my%20%22cache%22');
    expect(cacheStatusMember('2nd', {})).toBe('"2nd";hit');
  });

  it('comes behind the members of other caches', () => {
    expect([appended(undefined, 'c'), appended('a; hit,b', 'c')]).toEqual(['c', 'a; hit, b, c']);
  });
});
