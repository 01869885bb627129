import { describe, expect, it } from 'vitest';
import { CacheKeyError, describeKey, encodeArguments, encodeKey, MAX_KEY_BYTES, MethodKeys } from './index.js';

const MUTATIONS = 200_000;
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);

/** A small fast generator (mulberry32): the seed in a failure's message makes the run again. */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Money {
  constructor(readonly amount: unknown) {}
  toJSON(): unknown {
    return this.amount;
  }
}
class Opaque {
  readonly secret = 1;
}

describe(`keys under ${MUTATIONS} mutations, FUZZ_SEED=${seed}`, () => {
  const random = randomOf(seed);
  const upTo = (limit: number) => Math.floor(random() * limit);
  const pick = <T>(list: readonly T[]): T => list[upTo(list.length)]!;

  const mutatedText = (text: string): string => {
    const at = upTo(text.length + 1);
    switch (upTo(5)) {
      case 0:
        return text.slice(0, at) + String.fromCharCode(upTo(0x10000)) + text.slice(at);
      case 1:
        return text.slice(0, at) + pick(Array.from(`{}%#~:.,()[]'"\\@*\u0000\u0085`)) + text.slice(at);
      case 2:
        return text.slice(0, at) + text.slice(at + 1 + upTo(3));
      case 3:
        return text.slice(at) + text.slice(0, at);
      default:
        return text.length < 400 ? text + text : text.slice(0, at);
    }
  };

  const anyValue = (depth: number): unknown => {
    const nested = () => (depth > 0 ? anyValue(depth - 1) : pick([1, 'a', null]));
    return pick<() => unknown>([
      () => mutatedText(pick(["it's", 'a\\b', '{x}', '\ud800', 'plain'])),
      () => (random() - 0.5) * 10 ** upTo(300),
      () => pick([NaN, -0, 0, Infinity, undefined, null, true, 2n ** 70n]),
      () => [nested(), nested()],
      () => ({ a: nested(), [mutatedText('b')]: nested() }),
      () => new Map([[nested(), nested()]]),
      () => new Set([nested(), nested()]),
      () => new Date(upTo(2) === 0 ? NaN : upTo(2 ** 31)),
      () => Buffer.from(mutatedText('bytes')),
      () => new Float64Array([random()]),
      () => new Money(nested()),
      () => pick([() => 1, Symbol('s'), Promise.resolve(), new Opaque(), new Error('e'), new WeakMap(), Object(1)]),
      () => new Proxy({}, { ownKeys: () => pick([['a'], ['a', 'b']]) }),
    ])();
  };

  it('make a bounded key or throw a CacheKeyError, quickly', () => {
    const methods = new MethodKeys('Users', 'find');
    let text = 'user:42';
    let refused = 0;
    for (let count = 0; count < MUTATIONS; count += 1) {
      try {
        if (count % 2 === 0) {
          text = count % 50 === 0 ? 'user:42' : mutatedText(text);
          assertKey(encodeKey(text));
          describeKey(text);
        } else {
          const args = [anyValue(3)];
          assertKey(methods.of(args, '').encoded);
          encodeArguments(args);
        }
      } catch (error) {
        refused += 1;
        expect(error).toBeInstanceOf(CacheKeyError);
      }
    }
    expect(refused).toBeGreaterThan(MUTATIONS / 100);
    expect(refused).toBeLessThan(MUTATIONS * 0.9);
  });

  /** Without `expect`: two hundred thousand of them would take longer than what is tested. */
  function assertKey(key: string): void {
    if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES || /^#|[{}\p{Cc}\p{Cs}]/u.test(key)) {
      throw new Error(`not a key: ${JSON.stringify(key)}`);
    }
  }
});
