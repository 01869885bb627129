import { describe, expect, it } from 'vitest';
import { LruPolicy } from './lru-policy.js';
import type { EvictionPolicy, Request } from './policy.js';
import { S3FifoPolicy } from './s3-fifo-policy.js';
import { generateTraces } from './traces.js';

const request = (key: string, more: Partial<Request> = {}): Request => ({
  key,
  bytes: 10,
  ttlMs: 1000,
  atMs: 0,
  ...more,
});

describe.each([
  ['lru-cache', (maxBytes: number): EvictionPolicy => new LruPolicy(maxBytes)],
  ['S3-FIFO', (maxBytes: number): EvictionPolicy => new S3FifoPolicy(maxBytes)],
])('%s', (_name, make) => {
  it('hits a key of an earlier request, until its TTL ends', () => {
    const policy = make(100);
    expect(policy.request(request('a'))).toBe(false);
    expect(policy.request(request('a', { atMs: 999 }))).toBe(true);
    expect(policy.request(request('a', { atMs: 1000 }))).toBe(false);
    expect(policy.request(request('a', { atMs: 1999 }))).toBe(true);
  });

  it('never exceeds its bound, for any trace', () => {
    const policy = make(50_000);
    for (const trace of generateTraces(3, 5000)) {
      for (const each of trace.requests) {
        policy.request(each);
        expect(policy.usedBytes).toBeLessThanOrEqual(50_000);
      }
    }
    expect(policy.usedBytes).toBeGreaterThan(0);
  });

  it('does not store an entry that exceeds the bound', () => {
    const policy = make(100);
    expect(policy.request(request('a', { bytes: 101 }))).toBe(false);
    expect(policy.request(request('a', { bytes: 101 }))).toBe(false);
  });
});

describe('S3-FIFO', () => {
  it('keeps the hot keys during a scan that empties an LRU', () => {
    const hitsAfterScan = (policy: EvictionPolicy) => {
      const hot = Array.from({ length: 5 }, (_, at) => `hot:${at}`);
      for (let time = 0; time < 3; time++) {
        hot.forEach((key) => policy.request(request(key)));
      }
      Array.from({ length: 200 }, (_, at) => policy.request(request(`scan:${at}`)));
      return hot.filter((key) => policy.request(request(key))).length;
    };
    expect(hitsAfterScan(new LruPolicy(200))).toBe(0);
    expect(hitsAfterScan(new S3FifoPolicy(200))).toBe(5);
  });
});

describe('generateTraces', () => {
  it('depends on the seed alone', () => {
    expect([...generateTraces(5, 200)]).toEqual([...generateTraces(5, 200)]);
    expect([...generateTraces(5, 200)]).not.toEqual([...generateTraces(6, 200)]);
  });
});
