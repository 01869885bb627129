import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import fc from 'fast-check';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { keySlot } from './key-layout.js';

describe('keySlot', () => {
  it('is the slot that Redis itself computes, for any text and any hash tag', async () => {
    const server = await RedisServer.start({ args: ['--cluster-enabled', 'yes'] });
    const client = new Redis(server.port, server.host);
    onTestFinished(async () => {
      client.disconnect();
      await server.stop();
    });
    const keys = [
      '',
      '{}',
      '{}{a}',
      '{a}',
      'x{a}y{b}',
      '{{a}}',
      'a}b{c',
      'cache:users:42',
      'ключ',
      ...fc.sample(fc.string({ unit: fc.constantFrom('{', '}', 'a', ':', 'é', '漢', '😀'), maxLength: 12 }), 500),
    ];
    const pipeline = client.pipeline();
    keys.forEach((key) => pipeline.call('CLUSTER', 'KEYSLOT', key));
    const answers = (await pipeline.exec()) ?? [];
    expect(keys.map(keySlot)).toEqual(answers.map(([, slot]) => slot));
  });
});
