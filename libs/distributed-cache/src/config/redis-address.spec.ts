import { describe, expect, it } from 'vitest';
import { CacheConfig } from './config.js';
import { parseRedisUrl } from './redis-address.js';

describe('parseRedisUrl', () => {
  it.each([
    ['redis://h', { host: 'h', tls: false }],
    ['redis://h/', { host: 'h', tls: false }],
    ['redis://h:7000/3', { host: 'h', port: 7000, db: 3, tls: false }],
    ['rediss://h:7000', { host: 'h', port: 7000, tls: true }],
    ['REDISS://h', { host: 'h', tls: true }],
    ['redis://:p%40s%2Fs%25@h', { host: 'h', password: 'p@s/s%', tls: false }],
    ['redis://us%3Aer:pw@h', { host: 'h', username: 'us:er', password: 'pw', tls: false }],
    ['redis://user@h', { host: 'h', username: 'user', tls: false }],
    ['redis://[2001:db8::1]:7000', { host: '2001:db8::1', port: 7000, tls: false }],
    ['redis://10.0.0.1', { host: '10.0.0.1', tls: false }],
    ['redis://my_service.internal?family=6', { host: 'my_service.internal', family: 6, tls: false }],
  ])('reads %s', (text, address) => {
    expect(parseRedisUrl(text)).toEqual({ ok: true, address });
  });

  it.each([
    'http://u:s3cret@h',
    's3cret@h:6379',
    'h:6379',
    '/var/run/s3cret.sock',
    'redis+sentinel://u:s3cret@h',
    'redis:h',
    'redis://',
    'redis:///0',
    'redis://u:s3cret@:6379',
    'redis://u:s3cret@h:0',
    'redis://u:s3cret@h:65536',
    'redis://u:s3cret@h:port',
    'redis://u:s3cret@h/abc',
    'redis://u:s3cret@h/-1',
    'redis://u:s3cret@h/1/2',
    'redis://u:s3cret@h/1.5',
    'redis://u:s3cret%zz@h',
    'redis://u:s3cret@h?family=5',
    'redis://u:s3cret@h?family=4&family=6',
    'redis://h?password=s3cret',
    'redis://u:s3cret@h?Family=4',
    'redis://u:s3cret@h#x',
    'redis://u:12/s3cret@h',
    'redis://u:12?s3cret@h',
    'redis://u:12#s3cret@h',
    'redis://u:s3cret@h%20h',
    'redis://u:s3cret@a,b',
  ])('refuses %s and repeats nothing of it but the scheme', (text) => {
    expect(parseRedisUrl(text).ok).toBe(false);
    for (const resolve of [
      () => CacheConfig.fromEnv({ REDIS_URL: text }),
      () => CacheConfig.resolve({ redis: { url: text } }, {}),
      () => CacheConfig.resolve(JSON.parse(JSON.stringify({ redis: text })), {}),
      () => CacheConfig.fromEnv({ REDIS_HOST: text.includes('@') ? text : `${text}@` }),
      () => CacheConfig.fromEnv({ REDIS_SENTINELS: `${text}@`, REDIS_SENTINEL_NAME: 'm' }),
    ]) {
      expect(resolve).toThrow(/^1 mistake in/);
      expect(resolve).not.toThrow(/s3cret/);
    }
  });
});
