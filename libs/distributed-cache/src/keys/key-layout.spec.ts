import { describe, expect, it, onTestFinished } from 'vitest';
import { CacheKeyError, sidecarKeyOf, encodeKey, endedKeyOf, isValidName, keyChangeOf, keyLayout } from './index.js';
import { Redis } from 'ioredis';
import fc from 'fast-check';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { keySlot } from './key-layout.js';

describe('keyLayout', () => {
  const layout = keyLayout('cache', 'keywords');

  it('names everything that a namespace keeps in Redis', () => {
    expect(layout.valuePrefix).toBe('cache:keywords:');
    expect(layout.valueKey('user:1')).toBe('cache:keywords:user:1');
    expect(layout.entryKeys('user:1').leaseKey).toBe('cache:{cache:keywords:user:1}:lease');
    expect(layout.tagStampKey('author:7')).toBe('cache:keywords:#tag:author:7');
    expect(layout.clearStampKey).toBe('cache:keywords:#clear');
  });

  it('puts a value and its lease into one cluster slot, also with braces in the key', () => {
    for (const key of ['a', '{a}', '}{', '{}', 'a{b}c{d}', '{'.repeat(400)]) {
      const encoded = encodeKey(key);
      expect(hashedPart(layout.entryKeys(encoded).leaseKey)).toBe(hashedPart(layout.valueKey(encoded)));
      expect(hashedPart(layout.valueKey(encoded))).toBe(layout.valueKey(encoded));
    }
  });

  it('begins every name with the prefix, and finds namespace and key in those that concern other processes', () => {
    const { leaseKey, fillKey } = layout.entryKeys('a');
    const own = [leaseKey, fillKey, sidecarKeyOf(layout.valueKey('a'))];
    const changes = [
      [layout.valueKey('a:b'), 'a:b'],
      [layout.valueKey(encodeKey('{a}')), '%7Ba%7D'],
      [layout.valueKey('a}:lease:ended'), 'a}:lease:ended'],
      [layout.tagStampKey('a'), '#tag:a'],
      [layout.clearStampKey, '#clear'],
    ] as const;
    const mark = endedKeyOf(layout.entryKeys('a:b'));
    const names = [...own, ...changes.map(([name]) => name), mark];
    expect(names.filter((name) => !name.startsWith('cache:'))).toEqual([]);
    expect(own.map((name) => keyChangeOf(name, 'cache:'.length))).toEqual([undefined, undefined, undefined]);
    expect(changes.map(([name]) => keyChangeOf(name, 'cache:'.length))).toEqual(
      changes.map(([, encodedKey]) => ({ namespace: 'keywords', encodedKey, isEndOfLoad: false })),
    );
    expect(keyChangeOf(mark, 'cache:'.length)).toEqual({ namespace: 'keywords', encodedKey: 'a:b', isEndOfLoad: true });
  });

  it('never lets a user key reach a stamp', () => {
    expect(layout.valueKey(encodeKey('#clear'))).not.toBe(layout.clearStampKey);
    expect(layout.valueKey(encodeKey('#tag:a'))).not.toBe(layout.tagStampKey('a'));
  });

  it('encodes tags by the rules for keys', () => {
    expect(layout.tagStampKey(encodeKey('{a}'))).toBe('cache:keywords:#tag:%7Ba%7D');
    expect(layout.tagStampKey(encodeKey('x'.repeat(5000))).length).toBeLessThan(600);
  });

  it('distinguishes a namespace from a key with colons', () => {
    expect(keyLayout('p', 'a').valueKey('b:c')).not.toBe(keyLayout('p', 'a.b').valueKey('c'));
    expect(() => keyLayout('p', 'a:b')).toThrow(CacheKeyError);
  });

  it.each(['', 'a:b', 'a b', '{a}', 'a*', 'é', 'a\n'])('refuses %j as a prefix or a namespace', (name) => {
    expect(isValidName(name)).toBe(false);
    expect(() => keyLayout(name, 'a')).toThrow(/key prefix/);
    expect(() => keyLayout('a', name)).toThrow(/namespace/);
  });

  it.each(['cache', 'A-1', 'my_app.v2', '__proto__'])('accepts %j as a name', (name) => {
    expect(isValidName(name)).toBe(true);
  });
});

/** The text that Redis Cluster hashes: the text between the first `{` and the next `}`, unless it is empty. */
function hashedPart(key: string): string {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  return open !== -1 && close > open + 1 ? key.slice(open + 1, close) : key;
}

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
