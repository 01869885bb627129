import { describe, expect, it } from 'vitest';
import { CacheHealth } from './cache-health.js';

describe('CacheHealth', () => {
  it('leaves the process with exactly the wire names', () => {
    const health = new CacheHealth('degraded', false, true, 'the local tier serves');
    expect(JSON.parse(JSON.stringify(health))).toStrictEqual({
      redis_connected: false,
      local_cache_available: true,
      overall_healthy: true,
      status: 'degraded',
      message: 'the local tier serves',
    });
  });

  it('has no message without a reason', () => {
    expect(Object.keys(new CacheHealth('up', true, true).toJSON())).not.toContain('message');
  });

  it.each([
    ['up', true],
    ['degraded', true],
    ['down', false],
  ] as const)('is healthy overall when it is %s: %s', (status, isHealthy) => {
    expect(new CacheHealth(status, false, false).overallHealthy).toBe(isHealthy);
  });
});
