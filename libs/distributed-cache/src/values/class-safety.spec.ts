import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { deserialize, serialize } from '../codec/value-codec.js';
import { CorruptEntryError, UnknownClassError, ValueRefusedError } from '../errors/index.js';
import { ClassRegistry, type DeclaredClasses, type RegisteredClass } from './classes.js';

function through(value: unknown, writer = new ClassRegistry(), reader = writer): unknown {
  const { serializer, text } = serialize(value, writer);
  return deserialize(serializer, text, reader);
}

function refusalOf(value: unknown, classes = new ClassRegistry()): ValueRefusedError {
  try {
    serialize(value, classes);
  } catch (error) {
    if (error instanceof ValueRefusedError) {
      return error;
    }
    throw error;
  }
  throw new Error('The value was not refused');
}

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {
    if (!Number.isFinite(x)) {
      throw new RangeError('The constructor has run');
    }
  }
  get length(): number {
    return Math.hypot(this.x, this.y);
  }
}

class NamedPoint extends Point {
  /** Like a #tag in a comment, and `#${id}` in a template: no private name. */
  name = `#${this.x} '#a'`;
  toJSON() {
    return this.name;
  }
}

function OldStyle(this: { id: number }, id: number) {
  this.id = id;
}
OldStyle.prototype.double = function double(this: { id: number }) {
  return this.id * 2;
};

const oldStyle = (id: number) => Reflect.construct(OldStyle, [id]) as { id: number; double(): number };

describe('an instance of a class that only its own properties describe', () => {
  it('comes back as an instance, without registration and without a run of its constructor', () => {
    const given = [new Point(3, 4), new NamedPoint(1, 2), Object.assign(new Point(0, 0), { x: NaN, at: new Date(1) })];
    expect(through(given)).toStrictEqual(given);
    const [point, named] = through(given) as [Point, NamedPoint];
    expect(point.length).toBe(5);
    expect(named.toJSON()).toBe("#1 '#a'");
  });

  it('comes back when it has no property, and no state', () => {
    class Gone {}
    class Free {
      of(price: number) {
        return price * this.rate();
      }
      rate() {
        return 0;
      }
    }
    expect(through([new Gone(), new Free()])).toStrictEqual([new Gone(), new Free()]);
    const declared = new ClassRegistry([{ name: 'Slotted', class: Slotted, version: 1 }]);
    expect(through(new Slotted(), declared)).toBeInstanceOf(Slotted);
  });

  it('comes back when it is nested, shared, in a Map or a Set, or made by an old constructor function', () => {
    const shared = new Point(1, 2);
    const given = {
      list: [shared, shared],
      map: new Map([[shared, new Set([new NamedPoint(1, 1)])]]),
      old: oldStyle(4),
    };
    const back = through(given) as typeof given;
    expect(back).toStrictEqual(given);
    expect(back.list[0]).toBe(back.list[1]);
    expect([...back.map.keys()][0]).toBe(back.list[0]);
    expect(back.old.double()).toBe(8);
  });

  it('comes back when it contains itself: entities with relations in both directions, a tree with parents', () => {
    class Author {
      books: Book[] = [];
      constructor(readonly name: string) {}
    }
    class Book {
      constructor(
        readonly author: Author,
        readonly at = new Date(0),
      ) {
        author.books.push(this);
      }
      get by() {
        return this.author.name;
      }
    }
    const author = new Author('Ada');
    const given = { first: new Book(author), all: new Map([['second', new Book(author)]]), point: new Point(1, 2) };
    const back = through(given) as typeof given;
    expect(back).toStrictEqual(given);
    expect([back.first.by, back.all.get('second')?.by]).toEqual(['Ada', 'Ada']);
    expect(back.first.author.books[1]).toBe(back.all.get('second'));
    const unknowing = new ClassRegistry();
    serialize(new Point(1, 2), unknowing);
    expect(() => through(given, undefined, unknowing)).toThrow(UnknownClassError);
  });

  it('comes back when it contains an error that refers to it', () => {
    class Job {
      failure?: Error;
    }
    const job = new Job();
    job.failure = Object.assign(new Error('failed'), { job });
    const back = through(job) as Job;
    expect(back).toBeInstanceOf(Job);
    expect(back.failure).toMatchObject({ message: 'failed', job: back });
  });

  it('comes back when a WeakMap only remembers what its properties tell', () => {
    class Remembering {
      id = 1;
      get text(): number {
        const known = hidden.get(this);
        if (known === undefined) {
          hidden.set(this, this.id * 2);
        }
        return known ?? this.id * 2;
      }
    }
    const given = new Remembering();
    expect([given.text, (through(given) as Remembering).text]).toEqual([2, 2]);
  });

  it('is an unreadable entry for a process that has not stored one, and readable once it has', () => {
    const reader = new ClassRegistry();
    expect(() => through(new Point(1, 2), undefined, reader)).toThrow(UnknownClassError);
    expect(() => through(new Point(1, 2), undefined, reader)).toThrow(CorruptEntryError);
    serialize(new Point(0, 0), reader);
    expect(through(new Point(1, 2), undefined, reader)).toStrictEqual(new Point(1, 2));
  });
});

const hidden = new WeakMap<object, number>();

class Private {
  readonly #cents = 5;
  get cents() {
    return this.#cents;
  }
}
class Branded {
  #brand() {}
  static is(value: object) {
    return #brand in value;
  }
}
class InWeakMap {
  constructor() {
    hidden.set(this, 1);
  }
  get state() {
    return hidden.get(this);
  }
}
const slots = new WeakMap<object, number>();
const slotOf = (owner: object) => slots.get(owner);
class Slotted {
  constructor() {
    slots.set(this, 1);
  }
  get state() {
    return slotOf(this);
  }
}
const compiled = (body: string) =>
  new Function('helper', `return class Compiled { read() { ${body} } }`)() as new () => object; // oxlint-disable-line typescript/no-implied-eval, typescript/no-unsafe-type-assertion, no-new-func -- the text of a compiled class

describe('an instance that its properties do not describe', () => {
  it.each<[string, object, string]>([
    ['a private field', new Private(), '#private'],
    ['a private method', new Branded(), '#private'],
    ['an inherited private field', new (class Child extends Private {})(), 'in a class that it extends'],
    [
      'a private field that TypeScript compiled',
      new (compiled('return __classPrivateFieldGet(this, _a, "f")'))(),
      '#private',
    ],
    ['a private field that was compiled and minified', new (compiled('return t(this,n,"f")'))(), '#private'],
    ['a private field that Babel compiled', new (compiled('return _classPrivateFieldGet2(_a, this)'))(), '#private'],
    ['a private field that esbuild compiled', new (compiled('return __privateGet(this, _a)'))(), '#private'],
    ['state in a WeakMap', new InWeakMap(), 'WeakMap'],
    ['state that a function of the module keeps', new Slotted(), 'its state may be elsewhere'],
    ['a property that is a function', Object.assign(new Point(1, 2), { onChange: () => 1 }), 'function'],
    [
      'an accessor of its own',
      Object.defineProperty(new Point(1, 2), 'z', { get: () => 1, enumerable: true }),
      'accessor',
    ],
    ['a property that is not enumerable', Object.defineProperty(new Point(1, 2), 'z', { value: 1 }), 'not enumerable'],
    ['a symbol', Object.assign(new Point(1, 2), { [Symbol('z')]: 1 }), 'symbol'],
    ['listeners', new (class Job extends EventEmitter {})(), 'symbol'],
    ['a class without a name', new (class {})(), 'no name'],
    ['a minified name', new (class Ab {})(), 'may belong to another class'],
    ['a name that a library gives to all its classes', new (class model {})(), 'may belong to another class'],
    ['no class at all', Object.create({ inherited: 1 }) as object, 'not that of a class'],
    ['an array class', new (class Rows extends Array<number> {})(1, 2), 'extends a built-in'],
    ['a map class', new (class Index extends Map<number, number> {})(), 'extends a built-in'],
    ['a set class', new (class Names extends Set<string> {})(), 'extends a built-in'],
    ['a date class', new (class Day extends Date {})(), 'extends a built-in'],
    ['an error class', new (class NotFound extends Error {})(), 'extends a built-in'],
    ['a URL class', new (class Link extends URL {})('http://localhost'), 'extends a built-in'],
    ['a buffer class', new (class Bytes extends Uint8Array {})(), 'extends a built-in'],
  ])('is refused, with its class, its place and what to write: %s', (_what, instance, problem) => {
    const { reason, message, className } = refusalOf({ rows: [instance] });
    expect({ reason, className: typeof className }).toEqual({ reason: 'class', className: 'string' });
    expect(message).toContain(` ${className} at value.rows[]: `);
    expect(message).toContain(problem);
    expect(message).toMatch(/Write @CachedClass\(\{ .*flatten: true in the options of the namespace/);
  });

  it('is refused with the instance that it is a part of, and the property that can not be kept', () => {
    class Job {
      readonly timer = Object.defineProperty(new Point(1, 2), '__handle', { value: 1 });
    }
    expect(refusalOf([new Job()]).message).toContain(
      'a Point at value[].timer (a part of a Job): its property .__handle is not enumerable. Write',
    );
  });

  it('is refused with what to write for it, when a part of it is no data', () => {
    class User {
      readonly models = [() => 1];
    }
    const { reason, message, className } = refusalOf({ user: new User() });
    expect({ reason, className }).toEqual({ reason: 'unserializable', className: 'User' });
    expect(message).toMatch(/a function at value\.user\.models\[\] \(a part of a User\): Write @CachedClass\(/);
  });

  it('is refused with a hint to plain data, when its toJSON() makes some', () => {
    class Link extends URL {}
    expect(refusalOf(new Link('http://localhost')).message).toContain('or return plain data');
    expect(refusalOf(new Private()).message).not.toContain('toJSON');
  });

  it('is restored by the serialize and deserialize of its registration', () => {
    class Rows extends Array<number> {}
    const rows: RegisteredClass = {
      name: 'Rows',
      class: Rows,
      version: 1,
      serialize: (instance) => Array.from(instance as Rows),
      deserialize: (data) => Rows.from(data as number[]),
    };
    const back = through([Rows.of(1, 2)], new ClassRegistry([rows])) as [Rows];
    expect(back[0]).toBeInstanceOf(Rows);
    expect([...back[0]]).toEqual([1, 2]);
  });

  it('is refused although it is registered, while the registration has no serialize', () => {
    const classes = new ClassRegistry([{ name: 'Private', class: Private, version: 1 }]);
    expect(refusalOf(new Private(), classes).message).toContain('#private');
  });
});

describe('plain data that would lose a part', () => {
  it.each<[string, unknown, string]>([
    ['an array with a total', Object.assign([1], { total: 1 }), 'named properties'],
    ['an array with holes and a total', Object.assign([], { 3: 1, total: 1 }), 'named properties'],
    [
      'a long array with a total',
      Object.assign(Array.from({ length: 2000 }, String), { total: ' more items ]' }),
      'named properties',
    ],
    ['a match of a regular expression', /b/.exec('abc'), 'named properties'],
    ['the texts of a template', ((texts: TemplateStringsArray) => texts)`a`, 'named properties'],
    ['a Map with a total', Object.assign(new Map(), { total: 1 }), 'named properties'],
    ['a property that is not enumerable', Object.defineProperty({}, 'total', { value: 1 }), 'not enumerable'],
    ['a property under a symbol', { [Symbol('total')]: 1 }, 'symbol'],
    ['an object with a toJSON of its own', { toJSON: () => 1 }, 'toJSON'],
  ])('is refused, with its place and what to write: %s', (_what, part, problem) => {
    const { reason, message } = refusalOf({ page: part });
    expect(reason).toBe('unserializable');
    expect(message).toContain(' at value.page: ');
    expect(message).toContain(problem);
    expect(message).toContain('flatten: true');
  });
});

describe('the stored graph of instances that contain themselves', () => {
  class Leaf {
    self = this;
  }
  const known = new ClassRegistry();
  const { text } = serialize(new Leaf(), known);

  it('is what this library writes', () => {
    expect(text.replace(/~[0-9a-f]{8}"/, '"')).toBe(
      '[["Instances",1],{"value":2,"classes":3},{"self":2},[4],{"name":5,"version":6,"instances":7},"Leaf",1,[2]]',
    );
    expect(deserialize('rich', text, known)).toStrictEqual(new Leaf());
  });

  it.each([
    ['an array', text.replace('{"self":2}', '[2]')],
    ['an instance twice', text.replace('[2]', '[2,2]')],
    ['a text', text.replace('[2]', '[5]')],
    ['another version', text.replace('",1,[2]', '",2,[2]')],
    ['a class of the language', text.replace('"Leaf~', '"Object~')],
    ['a class without its fingerprint', text.replace(/~[0-9a-f]{8}/, '')],
    ['no list', text.replace('[4]', '5')],
    ['no list of instances', text.replace(',[2]]', ',3]')],
    ['no parts', '[["Instances",1],"Leaf"]'],
    ['itself', '[["Instances",0]]'],
  ])('is a corrupt entry when it is forged: %s', (_what, forged) => {
    expect(() => deserialize('rich', forged, known)).toThrow(CorruptEntryError);
  });
});

describe('two classes of one name', () => {
  const other = () => {
    class Point {} // oxlint-disable-line no-shadow -- that is the matter
    return Point;
  };
  const declared = (...classes: (new () => object)[]): DeclaredClasses => {
    const all = classes.map((type): RegisteredClass => ({ name: type.name, class: type, version: 1 }));
    return {
      of: (type) => all.find((each) => each.class === type),
      named: (name) => all.filter((each) => each.name === name),
    };
  };

  it('are told: the second one is refused', () => {
    const classes = new ClassRegistry();
    serialize(new Point(1, 2), classes);
    expect(refusalOf(new (other())(), classes).message).toMatch(
      /another class.* name Point\. Write @CachedClass\(\{ name/,
    );
    expect(through(new Point(1, 2), classes)).toStrictEqual(new Point(1, 2));
  });

  it('are two classes to a process that knows one and reads the entry of another process that knows the other', () => {
    const [writer, reader] = [new ClassRegistry(), new ClassRegistry()];
    serialize(new (other())(), reader);
    expect(() => through(new Point(1, 2), writer, reader)).toThrow(UnknownClassError);
    expect(through(new (other())(), new ClassRegistry(), reader)).not.toBeInstanceOf(Point);
  });

  it('are told when one of them is declared, or registered', () => {
    expect(refusalOf(new Point(1, 2), new ClassRegistry([], declared(other()))).message).toContain('another class');
    const registered = new ClassRegistry([{ name: 'Point', class: other(), version: 1 }]);
    expect(refusalOf(new Point(1, 2), registered).message).toContain('another class');
  });

  it('are unreadable when both are declared, until this process has stored one of them', () => {
    const [one, two] = [other(), other()];
    const classes = new ClassRegistry([], declared(one, two));
    const writer = new ClassRegistry([], declared(one));
    expect(() => through(new one(), writer, classes)).toThrow(UnknownClassError);
    serialize(new two(), classes);
    expect(through(new one(), writer, classes)).toBeInstanceOf(two);
    expect(refusalOf(new one(), classes).message).toContain('another class');
  });

  it('are no trouble with a name of their own', () => {
    const second = other();
    const classes = new ClassRegistry([{ name: 'OtherPoint', class: second, version: 1 }]);
    expect(through([new Point(1, 2), new second()], classes)).toStrictEqual([new Point(1, 2), new second()]);
  });
});
