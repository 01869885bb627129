import { createSecretKey } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { CorruptEntryError, ValueRefusedError } from 'nestjs-distributed-cache/core';
import {
  deserialize,
  type Dictionaries,
  Dictionary,
  EntryCodec,
  readEnvelope,
  serialize,
} from '../../libs/distributed-cache/src/codec/index.js';
import { Mutations } from './mutations.js';
import { BytesValue, ClassRegistry } from '../../libs/distributed-cache/src/values/index.js';

const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 50_000);
const SLOWEST_MS = 100;
const VALUE_KEY = 'cache:fuzz:1';

class Money {
  cents = 5;
}

const classes = new ClassRegistry([{ name: 'Money', class: Money, version: 1 }]);
const secret = createSecretKey(Buffer.alloc(32, 7));
const encryptionKeys = { currentId: 'k', key: (id: string) => (id === 'k' ? secret : undefined) };
const dictionary = new Dictionary(Buffer.from('{"id":1,"name":"Ada","tags":["a","b"],"compressible '.repeat(2)));
const dictionaries: Dictionaries = { compress: (raw) => dictionary.compress(raw), find: () => dictionary };
const common = { maxValueBytes: 100_000, classes, legacy: true, encryptionKeys };
const codecs = [
  new EntryCodec({ ...common, compression: false }),
  new EntryCodec({ ...common, compression: { thresholdBytes: 20, codec: 'deflate' } }),
  new EntryCodec({ ...common, compression: false, encrypts: true, legacy: false }),
  new EntryCodec({
    ...common,
    compression: { thresholdBytes: 20, codec: 'deflate', dictionary: true },
    dictionaries,
  }),
];

const shared = { name: 'shared' };
const values: readonly unknown[] = [
  { id: 1, name: 'Ada', tags: ['a', 'b'], deep: { list: [1, [2, [3]]], none: null } },
  { map: new Map<unknown, unknown>([[1, new Set([NaN, -0])]]), at: new Date(0), big: 2n ** 70n },
  { bytes: Buffer.from('abc'), view: new Float64Array([1, 2]), url: new URL('https://a.b/?c'), re: /a+/gi },
  { one: shared, two: shared, holes: [1, , 3], error: new AggregateError([new TypeError('x')], 'y') }, // eslint-disable-line no-sparse-arrays
  [new Money(), Object.assign(Object.create(null), { a: undefined })],
  'compressible '.repeat(20),
  new BytesValue({ status: 200, fields: { etag: '"x"' } }, Buffer.from('<p>body</p>'.repeat(9))),
  undefined,
];

interface Outcome {
  values: number;
  readonly strange: unknown[];
  slowestMs: number;
  /** Decompressions off the event loop. */
  readonly pending: Promise<unknown>[];
}

function isOurs(error: unknown): boolean {
  return error instanceof CorruptEntryError || error instanceof ValueRefusedError;
}

/**
 * Reads a number of generated inputs; reading may throw only an error of the library. A slow one is timed again,
 * because other work uses this machine, too.
 */
function survive<Input>(rounds: number, make: () => Input, read: (input: Input) => unknown): Outcome {
  const outcome: Outcome = { values: 0, strange: [], slowestMs: 0, pending: [] };
  const attempt = (input: Input): number => {
    const startedAtMs = performance.now();
    try {
      const result = read(input);
      outcome.values++;
      if (result instanceof Promise) {
        outcome.pending.push(result.catch((error: unknown) => isOurs(error) || outcome.strange.push(error)));
      }
    } catch (error) {
      if (!isOurs(error)) {
        outcome.strange.push(error);
      }
    }
    return performance.now() - startedAtMs;
  };
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // the stacks of so many misses would take most of the time
  for (let round = 0; round < rounds; round++) {
    const input = make();
    let tookMs = attempt(input);
    for (let again = 0; again < 3 && tookMs > SLOWEST_MS; again++) {
      tookMs = Math.min(tookMs, attempt(input));
    }
    outcome.slowestMs = Math.max(outcome.slowestMs, tookMs);
  }
  Error.stackTraceLimit = stackTraceLimit;
  return outcome;
}

function atOnce<Result>(result: Result | Promise<Result>): Result {
  if (result instanceof Promise) {
    throw new TypeError('Use small values');
  }
  return result;
}

describe('200 000 mutations', { timeout: 300_000 }, () => {
  const mutations = new Mutations();
  const header = { createdAtMs: 1, expiresAtMs: 2, loadMs: 3, stamps: [['#clear', 'abc'] as const] };
  const entries = codecs.flatMap((codec) =>
    values.map((value) => ({
      codec,
      bytes: codec.seal(header, atOnce(codec.encode(value).payload()), VALUE_KEY).bytes,
    })),
  );

  beforeAll(() => {
    process.stdout.write(`codec fuzz: FUZZ_SEED=${mutations.seed}
`);
  });

  it('of envelopes end in a miss, and with a corrected checksum in a value or a miss', async () => {
    let round = 0;
    let unnoticed = 0;
    const make = () => {
      const { codec, bytes } = mutations.oneOf(entries);
      const damaged = mutations.damage(bytes);
      const isForged = round++ % 2 === 0 && damaged.length > 40;
      if (isForged) {
        putChecksumRight(damaged);
      }
      return { codec, damaged, isLegal: isForged || damaged.equals(bytes) };
    };
    const outcome = survive(ROUNDS, make, ({ codec, damaged, isLegal }) => {
      const { payload } = codec.open(damaged, VALUE_KEY);
      unnoticed += isLegal ? 0 : 1;
      return codec.decode(payload);
    });
    await Promise.all(outcome.pending);
    expect(outcome.strange).toEqual([]);
    expect({}).not.toHaveProperty('polluted');
    expect(unnoticed).toBe(0);
    expect(outcome.values).toBeGreaterThan(100);
    expect(outcome.slowestMs).toBeLessThan(SLOWEST_MS);
  });

  it.each(['json', 'rich'] as const)('of serialized text (%s) end in a value or a miss', (serializer) => {
    const texts = values
      .filter((value) => !(value instanceof BytesValue))
      .map((value) => serialize(value, classes))
      .filter((serialized) => serialized.serializer === serializer)
      .map(({ text }) => Buffer.from(text));
    const make = () => mutations.damage(mutations.oneOf(texts)).toString();
    const outcome = survive(ROUNDS / 2, make, (text) => {
      const value = deserialize(serializer, text, classes);
      return serialize(value, classes); // a value that was read can be written, or is refused
    });
    expect(outcome.strange).toEqual([]);
    expect({}).not.toHaveProperty('polluted');
    expect(outcome.values).toBeGreaterThan(1_000);
    expect(outcome.slowestMs).toBeLessThan(SLOWEST_MS);
  });

  it('of texts of other programs end in a value or a miss', () => {
    const texts = [
      '{"value":{"a":[1,"::x",":base64:aGk="]},"expires":1795499772862}',
      '"{\\"value\\":{\\"a\\":1},\\"expires\\":1795499772862}"',
      '{"then":"_function_then|function(){ globalThis.polluted = 1 }","d":"_date_2020-01-01T00:00:00.000Z"}',
      '[{"s":1},"_duplicate_[\\"v\\",\\"0\\"]",{"__proto__":{"polluted":1}}]',
      '{"__isConvertedError__":true,"errorProperties":{"name":"Error"},"_constructor-name_":"Error"}',
    ].map((text) => Buffer.from(text));
    const plain = (['envelope', 'json', 'keyv', 'cache-manager'] as const).map(
      (format) => new EntryCodec({ ...common, compression: false, format }),
    );
    const make = () => ({
      codec: mutations.oneOf(plain),
      bytes: mutations.damage(mutations.oneOf(texts)),
      sidecar: mutations.pick(4) === 0 ? mutations.damage(mutations.oneOf(entries).bytes) : null,
    });
    const outcome = survive(ROUNDS, make, ({ codec, bytes, sidecar }) => codec.readPlain(bytes, sidecar));
    expect(outcome.strange).toEqual([]);
    expect({}).not.toHaveProperty('polluted');
    expect(outcome.values).toBeGreaterThan(1_000);
    expect(outcome.slowestMs).toBeLessThan(SLOWEST_MS);
  });

  it('of random bytes never end in a value', () => {
    const make = () => Buffer.from([0xdc, ...Array.from({ length: mutations.pick(60) }, () => mutations.pick(256))]);
    const outcome = survive(ROUNDS / 4, make, readEnvelope);
    expect(outcome).toMatchObject({ values: 0, strange: [] });
  });
});

function putChecksumRight(entry: Buffer): void {
  const crcAt = 29 + entry.readUInt16BE(27);
  if (crcAt + 4 <= entry.length) {
    entry.writeUInt32BE(crc32(entry.subarray(crcAt + 4), crc32(entry.subarray(0, crcAt))), crcAt);
  }
}
