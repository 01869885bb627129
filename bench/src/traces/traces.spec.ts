import { describe, expect, it } from 'vitest';
import {
  BeladyPolicy,
  bytesInL1,
  type EvictionPolicy,
  LocalCachePolicy,
  LruPolicy,
  type Request,
  SievePolicy,
} from './policies.js';
import { S3FifoPolicy } from './s3-fifo-policy.js';
import { footprintBytes, generateTraces, sessionTrace, type Trace } from './traces.js';
import { WTinyLfuPolicy } from './w-tiny-lfu-policy.js';

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
  ['SIEVE', (maxBytes: number): EvictionPolicy => new SievePolicy(maxBytes)],
  ['W-TinyLFU', (maxBytes: number): EvictionPolicy => new WTinyLfuPolicy(maxBytes)],
])('%s', (_name, make) => {
  it('hits a key of an earlier request, until its TTL ends', () => {
    const policy = make(100);
    expect(policy.request(request('a'))).toBe(false);
    expect(policy.request(request('a', { atMs: 999 }))).toBe(true);
    expect(policy.request(request('a', { atMs: 1000 }))).toBe(false);
    expect(policy.request(request('a', { atMs: 1999 }))).toBe(true);
  });

  it('never exceeds its bound, for any trace', () => {
    const policy = make(20_000);
    for (const trace of generateTraces(3, 2000)) {
      for (const each of trace.requests) {
        policy.request(each);
        expect(policy.usedBytes).toBeLessThanOrEqual(20_000);
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

describe('L1', () => {
  it('hits more often than an LRU, and hardly less where the keys in use change all the time', () => {
    const pointsOf = ({ name, requests }: Trace) => {
      const points = [0.01, 0.05, 0.25].map((share) => {
        const l1 = new LocalCachePolicy(Math.round(footprintBytes({ name, requests }, bytesInL1) * share));
        const maxBytes = Math.round(footprintBytes({ name, requests }) * share);
        const [ratio, lru, best] = [l1, new LruPolicy(maxBytes), new BeladyPolicy(maxBytes, requests)].map(
          (policy) => (requests.filter((each) => policy.request(each)).length / requests.length) * 100,
        ) as [number, number, number];
        l1.close();
        expect(best).toBeGreaterThanOrEqual(Math.max(ratio, lru));
        return ratio - lru;
      });
      return points.reduce((sum, each) => sum + each, 0) / points.length;
    };
    const gains = new Map([...generateTraces(7, 10_000)].map((trace) => [trace.name, pointsOf(trace)]));
    expect([...gains].filter(([, points]) => points < -2)).toEqual([]);
    expect(gains.get('Zipf 0.9')).toBeGreaterThan(3);
    expect(gains.get('Zipf 0.9 with scans')).toBeGreaterThan(3);
  });

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
    const l1 = new LocalCachePolicy(20 * bytesInL1(request('scan:1')));
    expect(hitsAfterScan(l1)).toBe(5);
    l1.close();
  });
});

describe('generateTraces', () => {
  it('depends on the seed alone', () => {
    expect([...generateTraces(5, 200)]).toEqual([...generateTraces(5, 200)]);
    expect([...generateTraces(5, 200)]).not.toEqual([...generateTraces(6, 200)]);
    expect(sessionTrace(5, 200, 1)).not.toEqual(sessionTrace(6, 200, 1));
  });
});
