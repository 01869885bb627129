import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { CacheKeyError, encodeArguments } from './index.js';

class OrderFilter {
  readonly #status: string;
  constructor(status: string) {
    this.#status = status;
  }
  get status(): string {
    return this.#status;
  }
}

class OpenOrderFilter extends OrderFilter {}

class Hidden {
  constructor() {
    Object.defineProperty(this, 'state', { value: 1, enumerable: false });
  }
}

class Counted {
  constructor() {
    let count = 0;
    Object.defineProperty(this, 'count', { get: () => (count += 1), enumerable: true });
  }
}

/** As TypeScript and SWC write private fields for old targets. */
class Compiled {
  constructor() {
    __classPrivateFieldSet(this, new WeakMap<object, number>(), 1);
  }
}

function __classPrivateFieldSet(owner: object, values: WeakMap<object, number>, value: number): void {
  values.set(owner, value);
}

/** Keeps its state where only a function of its module finds it. */
class Slotted {
  read() {
    return slotOf(this);
  }
}

function slotOf(owner: object): object {
  return owner;
}

class Wrapped {
  constructor(readonly wrapped: unknown) {}
}

class Wrapper {
  constructor(private readonly wrapped: unknown) {}
  toJSON(): unknown {
    return this.wrapped;
  }
}

class TaggedMap extends Map<string, number> {}
class Items extends Array<number> {}
class Chunk extends Uint8Array {}

describe('encodeArguments refuses', () => {
  it.each<[string, unknown, RegExp]>([
    ['a function', () => 1, /a function or a class/],
    ['a class', OrderFilter, /a function or a class/],
    ['a symbol', Symbol('a'), /a symbol/],
    ['a registered symbol', Symbol.for('a'), /a symbol/],
    ['a promise', Promise.resolve(1), /a promise. Await it/],
    ['a boxed number', Object(1), /a boxed primitive/],
    ['a boxed string', Object('a'), /a boxed primitive/],
    ['a boxed BigInt', Object(1n), /a boxed primitive/],
    ['an error', new RangeError('x'), /an error/],
    ['an error with toJSON', Object.assign(new Error('x'), { toJSON: () => 1 }), /an error/],
    ['a WeakMap', new WeakMap(), /an instance of WeakMap, which has no toJSON\(\)/],
    ['a WeakRef', new WeakRef({}), /an instance of WeakRef/],
    ['a stream', Readable.from([]), /an instance of Readable/],
    ['an AbortSignal', new AbortController().signal, /an instance of AbortSignal/],
    ['a generator', generate(), /has no toJSON/],
    ['an instance with a private field', new OrderFilter('open'), /an instance of OrderFilter.* #private fields/],
    ['an instance that inherits a private field', new OpenOrderFilter('open'), /of OpenOrderFilter.* #private fields/],
    ['an instance with a compiled private field', new Compiled(), /of Compiled.* #private fields/],
    ['an instance with a property that is not enumerable', new Hidden(), /of Hidden.* is not enumerable/],
    ['an instance with an accessor of its own', new Counted(), /of Counted.* an accessor of its own/],
    ['an instance of plain data that holds a function', new Wrapped(() => 1), /a function or a class/],
    ['an emitter of events', new EventEmitter(), /an instance of EventEmitter.* emits events/],
    ['a class with a changed constructor', Object.create({ constructor: Wrapped }), /an instance of Wrapped/],
    [
      'an instance that has no property and hands itself to a function',
      new Slotted(),
      /of Slotted.* its state may be elsewhere/,
    ],
    ['an instance of no class', Object.create({}), /has no toJSON/],
    ['an instance of a class without a name', new (class {})(), /a class without a name/],
    ['a subclass of Map', new TaggedMap(), /an instance of TaggedMap/],
    ['a subclass of Array', new Items(), /an instance of Items/],
    ['a subclass of Uint8Array', new Chunk(1), /an instance of Chunk/],
    ['the arguments object', argumentsOf(1), /has no toJSON/],
    ['Math', Math, /has no toJSON/],
    ['a proxied Map', new Proxy(new Map(), {}), /an instance of Map/],
    ['an array with named properties', 'ab'.match(/a/), /an array with named properties/],
    ['a Date with properties', Object.assign(new Date(0), { zone: 'UTC' }), /a Date with properties of its own/],
    ['a property under a symbol', { [Symbol('a')]: 1 }, /a property under a symbol/],
  ])('%s', (_title, value, message) => {
    for (const args of [
      [value],
      [{ deep: [value] }],
      [new Map([[value, 1]])],
      [new Set([value])],
      [new Wrapper(value)],
    ]) {
      expect(() => encodeArguments(args)).toThrow(CacheKeyError);
      expect(() => encodeArguments(args)).toThrow(message);
    }
  });

  it('cycles through every kind of container', () => {
    const record: Record<string, unknown> = {};
    record['self'] = [record];
    const wrapped = new Wrapped(record);
    record['wrapped'] = wrapped;
    const map = new Map<unknown, unknown>();
    map.set(map, 1);
    const set = new Set<unknown>();
    set.add({ set });
    const instance = { toJSON: () => instance };
    Object.setPrototypeOf(instance, Wrapper.prototype);
    for (const value of [record, wrapped, map, set, instance]) {
      expect(() => encodeArguments([value])).toThrow(/it contains itself/);
    }
  });

  it('a toJSON() that never ends', () => {
    class Endless {
      toJSON(): Endless {
        return new Endless();
      }
    }
    expect(() => encodeArguments([new Endless()])).toThrow(/nested deeper/);
  });

  it('and names the position of the refused value and the remedy', () => {
    const filter = { where: [{ owner: new OrderFilter('secret') }] };
    expect(() => encodeArguments([1, filter])).toThrow(
      "Argument 2 of the call (at .where[0].owner) can't be part of a cache key: it is an instance of OrderFilter, " +
        'which has no toJSON(), and it has #private fields or methods. Give the class a toJSON(), pass plain data instead, or pass `key: (…) => string` to the decorator.',
    );
  });

  it('when the class keeps its state in a WeakMap, as compilers write private fields: two instances would share a key', () => {
    const amounts = new WeakMap<object, number>();
    const __privateAdd = (money: object, amount: number) => amounts.set(money, amount);
    class Money {
      constructor(amount: number) {
        __privateAdd(this, amount);
      }
    }
    class Price {
      constructor(amount: number) {
        amounts.set(this, amount);
      }
      get amount(): number | undefined {
        return amounts.get(this);
      }
    }
    expect(() => encodeArguments([new Money(1)])).toThrow(CacheKeyError);
    expect(() => encodeArguments([new Price(1)])).toThrow('it keeps state in a WeakMap');
  });

  it('and names the container, not its last child, if the container is refused', () => {
    const place = /^Argument 1 of the call \(at \.a\) can't/;
    expect(() => encodeArguments([{ a: 'ab'.match(/a/) }])).toThrow(place);
    expect(() => encodeArguments([{ a: Object.assign(new Set([[1]]), { b: 1 }) }])).toThrow(place);
    expect(() => encodeArguments([{ a: { b: 1, [Symbol('c')]: 1 } }])).toThrow(place);
  });

  it('without repeating data', () => {
    const byAddress = { 'bob@example.org': { note: 'secret', call: () => 1 } };
    expect(() => encodeArguments([byAddress])).toThrow(/at \[…\]\.call\)/);
    expect(() => encodeArguments([new Map([['bob@example.org', () => 1]])])).toThrow(/at \[…\]\)/);
  });
});

function* generate(): Generator<number> {
  yield 1;
}

function argumentsOf(..._args: unknown[]): unknown {
  // oxlint-disable-next-line prefer-rest-params
  return arguments;
}
