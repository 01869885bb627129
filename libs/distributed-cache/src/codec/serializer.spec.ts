/* oxlint-disable unicorn/no-thenable -- a query builder that runs when awaited is one of the cases */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CorruptEntryError, ValueRefusedError } from '../errors/index.js';
import { ClassRegistry } from '../values/index.js';
import type { TextSerializerId } from './envelope.js';
import { deserialize, serialize } from './value-codec.js';

/** The value through the notation of a namespace with `flatten: true`. */
function flattened(value: unknown): unknown {
  const { serializer, text } = serialize(value, undefined, { flatten: true });
  return deserialize(serializer, text);
}

function through(value: unknown): unknown {
  const classes = new ClassRegistry();
  const { serializer, text } = serialize(value, classes);
  return deserialize(serializer, text, classes);
}

function refusal(value: unknown, flatten = false): ValueRefusedError {
  try {
    serialize(value, undefined, { flatten });
  } catch (error) {
    if (error instanceof ValueRefusedError) {
      return error;
    }
    throw new Error('Another error than ValueRefusedError', { cause: error });
  }
  throw new Error('The value was not refused');
}

/** The part at the end of the path, in an untyped value. */
function at(value: unknown, ...path: string[]): unknown {
  return path.reduce((container, key) => Reflect.get(Object(container), key), value);
}

function nested(levels: number, leaf: unknown = 1): unknown {
  return Array.from({ length: levels }).reduce<unknown>((inner) => ({ inner }), leaf);
}

describe('the notation', () => {
  it.each<[TextSerializerId, unknown]>([
    ['json', { a: [1, 'x', null, true, { '': '\ud800' }] }],
    ['json', null],
    ['rich', { a: undefined }],
    ['rich', [-0]],
    ['rich', new Date(0)],
    ['rich', Object.create(null)],
    ['undefined', undefined],
  ])('is %s for %o', (serializer, value) => {
    expect(serialize(value)).toMatchObject({ serializer, exact: true });
  });

  it('is the text of JSON.stringify where JSON keeps the whole value', () => {
    const value = { b: [1, { a: 'é' }], a: null };
    expect(serialize(value).text).toBe(JSON.stringify(value));
  });
});

describe('a value that is not kept exactly, with flatten', () => {
  class Money {
    readonly #cents = 5;
    readonly currency = 'EUR';
    readonly parts = [new Date(1)];
    get cents() {
      return this.#cents;
    }
  }

  it('becomes a plain object of its own properties if it is an instance', () => {
    const back = flattened({ price: new Money() });
    expect(back).toStrictEqual({ price: { currency: 'EUR', parts: [new Date(1)] } });
    expect(serialize({ price: new Money() }, undefined, { flatten: true }).exact).toBe(false);
  });

  it('becomes the result of its toJSON, at any depth', () => {
    const made = { celsius: 20, at: new Date(0), tags: new Set(['a']), lost: undefined };
    const temperature = { toJSON: () => ({ ...made, parts: [new Money()] }) };
    const kept = { ...made, parts: [{ currency: 'EUR', parts: [new Date(1)] }] };
    expect(flattened(temperature)).toStrictEqual(kept);
    expect(flattened([temperature, 1n])).toStrictEqual([kept, 1n]);
    expect(flattened(new Map([[1, temperature]]))).toStrictEqual(new Map([[1, kept]]));
    expect(flattened({ toJSON: () => undefined })).toBeUndefined();
    expect(flattened({ toJSON: () => 1n })).toBe(1n);
    expect(serialize(temperature, undefined, { flatten: true }).exact).toBe(false);
  });

  it.each<[string, unknown, unknown]>([
    ['a property that is not enumerable', Object.defineProperty({ a: 1 }, 'b', { value: 2 }), { a: 1 }],
    ['an array with a total', Object.assign([1, 2], { total: 2 }), [1, 2]],
    ['an accessor', { get now() { return 5; } }, { now: 5 }], // prettier-ignore
    ['an accessor that only takes', { set now(_: number) {} }, { now: undefined }], // prettier-ignore
    ['an accessor beside a property that looks like a method of Object', { __lookupGetter__: 1, get now() { return 5; } }, { __lookupGetter__: 1, now: 5 }], // prettier-ignore
    ['a symbol key', { a: 1, [Symbol('hidden')]: 2 }, { a: 1 }],
    ['a boxed primitive', [new Number(1), Object('x')], [1, 'x']], // eslint-disable-line unicorn/new-for-builtins
    ['a match of a regular expression', 'abc'.match(/b(c)/), ['bc', 'c']],
    ['a subclass of a built-in', new (class Ids extends Set<number> {})([1]), new Set([1])],
    ['an instance of an array class', new (class Rows extends Array<number> {})(1, 2), [1, 2]],
    ['a Map with properties', Object.assign(new Map([[1, 2]]), { extra: 1 }), new Map([[1, 2]])],
  ])('keeps the plain part of %s', (_name, value, kept) => {
    expect(flattened(value)).toStrictEqual(kept);
    expect(serialize(value, undefined, { flatten: true }).exact).toBe(false);
  });

  it('keeps cycles and shared references between instances', () => {
    class TreeNode {
      children: TreeNode[] = [];
      constructor(readonly parent?: TreeNode) {}
    }
    const root = new TreeNode();
    root.children.push(new TreeNode(root));
    const back = flattened(root);
    expect(back).toMatchObject({ children: [{ children: [] }] });
    expect(at(back, 'children', '0', 'parent')).toBe(back);
  });

  it('keeps an error inside a cycle of objects', () => {
    const job: Record<string, unknown> = { id: 1 };
    job['failure'] = Object.assign(new Error('failed'), { job });
    const back = through(job);
    expect(at(back, 'failure')).toMatchObject({ message: 'failed' });
    expect(at(back, 'failure', 'job')).toBe(back);
  });
});

describe('serialize refuses', () => {
  it.each<[string, unknown, string]>([
    ['a function', { onDone: () => 1 }, 'a function at value.onDone'],
    ['a symbol', [[Symbol('secret')]], 'a symbol at value[][]'],
    ['a promise', { rows: [Promise.resolve('secret')] }, 'a Promise at value.rows[]'],
    ['a stream', { body: Readable.from([]) }, 'a Readable at value.body'],
    ['a WeakMap', new Map([['secret@example.org', new WeakMap()]]), 'a WeakMap at value[…]'],
    ['a platform object', { 'secret key': new Blob(['x']) }, 'a Blob at value[…]'],
    ['a generator', { rows: (function* () {})() }, 'an object at value.rows'],
    ['a query builder', new (class Query { then() {} })(), 'a Query at value'], // prettier-ignore
    ['memory shared between threads', new SharedArrayBuffer(1), 'a SharedArrayBuffer at value'],
    ['an endless array', Object.assign([], { 4_000_000_000: 1 }), 'longer than 1000000'],
    ['an endless bigint', 1n << 40_000n, 'a bigint of more than 32768 bits at value'],
  ])('%s, with its type, its path, and what to do', (_name, value, words) => {
    const error = refusal(value);
    expect(error.reason).toBe('unserializable');
    expect(error.message).toContain(words);
    expect(error.message).toMatch(
      /: Return plain data in its place, or keep such results out of the cache with cacheIf$/,
    );
    expect(error.message).not.toContain('secret');
  });

  it('an error that contains itself', () => {
    const error = new Error('x');
    error.cause = { error };
    expect(refusal(error).message).toContain('an error that contains itself');
  });

  it('201 levels, also when toJSON makes them', () => {
    expect(refusal(nested(201)).reason).toBe('too-deep');
    expect(refusal(nested(100_000, 1n)).reason).toBe('too-deep');
    expect(refusal([{ toJSON: () => nested(200) }], true).reason).toBe('too-deep');
  });

  it('a value that cannot be read, without repeating the error that reading it threw', () => {
    const thrower = () => {
      throw new Error('secret');
    };
    const values = [
      Object.defineProperty({}, 'a', { get: thrower, enumerable: true }),
      { toJSON: thrower },
      new Proxy({}, { ownKeys: thrower }),
      Object.create(Date.prototype, { toJSON: { value: thrower } }),
    ];
    const messages = values.map((value) => refusal(value, true).message);
    expect(messages[0]).toContain('a part that throws when it is read at value.a: Return plain data in its place');
    for (const message of messages) {
      expect(message).toMatch(/\(unserializable\): a part that throws when it is read at value.*: Return plain data/);
      expect(message).not.toContain('secret');
    }
  });
});

describe('a forged text', () => {
  it('never changes a prototype: __proto__ is dropped on write and on read', () => {
    const own: unknown = JSON.parse('{"a":{"__proto__":{"admin":true},"b":1}}');
    expect(serialize(own)).toMatchObject({ serializer: 'json', text: '{"a":{"b":1}}', exact: false });
    expect(through([own, 1n])).toStrictEqual([{ a: { b: 1 } }, 1n]);
    for (const text of ['[{"__proto__":{"admin":true}}]', '[{"\\u005f_proto__":{"admin":true}}]']) {
      const read: object = Object(at(deserialize('json', text), '0'));
      expect(Object.getOwnPropertyNames(read)).toEqual([]);
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      expect(read).not.toHaveProperty('admin');
    }
    expect({}).not.toHaveProperty('admin');
  });

  const deep = 10_000;
  it.each<[string, TextSerializerId, string]>([
    ['nested too deep', 'json', '['.repeat(deep) + ']'.repeat(deep)],
    ['objects nested too deep', 'json', '{"a":'.repeat(deep) + '1' + '}'.repeat(deep)],
    ['references nested too deep', 'rich', `[${Array.from({ length: deep }, (_, i) => `[${i + 1}]`).join()},1]`],
    [
      'references nested past the stack',
      'rich',
      `[${Array.from({ length: 400_000 }, (_, i) => `[${i + 1}]`).join()},1]`,
    ],
    ['rich text nested too deep', 'rich', '['.repeat(deep) + ']'.repeat(deep)],
    ['no JSON', 'json', '{"a":'],
    ['empty', 'json', ''],
    ['empty rich text', 'rich', ''],
    ['a reference to nowhere', 'rich', '[[7]]'],
    ['an unknown type', 'rich', '[["Function",1],"x"]'],
    ['a type of Object.prototype', 'rich', '[["constructor",1],"x"]'],
    ['a rich __proto__', 'rich', '[{"__proto__":1},{}]'],
    ['an array of four billion holes', 'rich', '[[-7,4294967295]]'],
    ['a bigint of a million digits', 'rich', `[["BigInt","${'9'.repeat(1e6)}"]]`],
    ['a typed array over a length', 'rich', '[["Uint8Array",1],1000000000]'],
    ['a buffer that is no text', 'rich', '[["Buffer",1],5]'],
    ['an error without parts', 'rich', '[["Error",1],{"type":1},"Error"]'],
    ['an error that is its own cause', 'rich', '[["Error",0]]'],
    ['a payload where there is none', 'undefined', 'x'],
  ])('is a corrupt entry when it is %s', (_name, serializer, text) => {
    expect(() => deserialize(serializer, text)).toThrow(CorruptEntryError);
  });

  it('never appears in its error', () => {
    expect(() => deserialize('json', 'secret')).toThrow(/^(?!.*secret)/);
  });
});
