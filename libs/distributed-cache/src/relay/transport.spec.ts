import { describe, expect, expectTypeOf, it } from 'vitest';
import type { Duration } from '../config/index.js';
import type { DistributedCache } from '../core/index.js';
import {
  decodeBatch,
  encodeBatch,
  type RelayBatch,
  type RelayLink,
  type RelayOptions,
  type RelayTransport,
  type Relay,
  redisStreams,
  startRelay,
} from './index.js';
import { comparePositions, kindOf } from './transport.js';

const BATCH: RelayBatch = {
  region: 'eu',
  after: '1700000000000-0',
  last: '1700000000001-3',
  atMs: 1_700_000_000_000,
  changes: ['users:find(1)', 'users:#tag:a:b', 'books:#clear'],
};

describe('the text of a batch', () => {
  it('is read as what was written', () => {
    const { after: _after, ...first } = BATCH;
    for (const batch of [BATCH, first, { ...BATCH, changes: [] }]) {
      expect(decodeBatch(encodeBatch(batch))).toMatchObject(batch);
    }
  });

  it.each<[string, unknown]>([
    ['no JSON', undefined],
    ['no object', 'eu'],
    ['another version', { v: 2, ...BATCH }],
    ['a region that is no name', { v: 1, ...BATCH, region: 'eu west' }],
    ['a position that is none', { v: 1, ...BATCH, last: '$' }],
    ['no time', { v: 1, ...BATCH, atMs: '1' }],
    ['a change without a namespace', { v: 1, ...BATCH, changes: ['users'] }],
    ['a change of a namespace that is no name', { v: 1, ...BATCH, changes: ['{users}:1'] }],
    ['a change without a key', { v: 1, ...BATCH, changes: ['users:'] }],
    ['a change that is no text', { v: 1, ...BATCH, changes: [1] }],
  ])('with %s is none', (_what, value) => {
    expect(decodeBatch(JSON.stringify(value) ?? '{')).toBeUndefined();
  });

  it('says whether a change is of a key, a tag or a namespace', () => {
    expect(BATCH.changes.map(kindOf)).toEqual(['key', 'tag', 'namespace']);
  });
});

it('positions are compared as numbers', () => {
  expect(comparePositions('9-0', '10-0')).toBeLessThan(0);
  expect(comparePositions('10-10', '10-9')).toBeGreaterThan(0);
  expect(comparePositions('10-1', '10-1')).toBe(0);
});

it('the types say what a link is made of, and what the relay offers', () => {
  expectTypeOf(startRelay).parameter(0).toEqualTypeOf<DistributedCache>();
  expectTypeOf(startRelay).parameter(1).toEqualTypeOf<Readonly<Record<string, RelayLink>>>();
  expectTypeOf(startRelay).returns.toEqualTypeOf<Relay>();
  expectTypeOf<RelayOptions['holdOff']>().toEqualTypeOf<Duration | undefined>();
  expectTypeOf(redisStreams).returns.toEqualTypeOf<RelayLink>();
  expectTypeOf<ReturnType<RelayLink>>().toEqualTypeOf<RelayTransport>();
});
