import { describe, expect, it } from 'vitest';
import { CorruptEntryError, UnknownClassError, ValueRefusedError } from '../errors/index.js';
import { ClassRegistry, type RegisteredClass } from './classes.js';
import { deserialize, serialize } from '../codec/value-codec.js';

class Money {
  constructor(
    readonly cents: number,
    readonly currency = 'EUR',
  ) {
    if (cents < 0) {
      throw new RangeError('The constructor has run');
    }
  }

  get euros() {
    return this.cents / 100;
  }
}

class Secret {
  readonly #parts: readonly Date[];
  constructor(parts: readonly Date[]) {
    this.#parts = parts;
  }
  get parts() {
    return this.#parts;
  }
}

const money: RegisteredClass = { name: 'Money', class: Money, version: 1 };
const classes = new ClassRegistry([
  money,
  {
    name: 'Secret',
    class: Secret,
    version: 1,
    serialize: (secret: Secret) => secret.parts,
    deserialize: (parts: Date[]) => new Secret(parts),
  },
]);

function through(value: unknown, reader = classes, writer = classes): unknown {
  const { serializer, text } = serialize(value, writer);
  return deserialize(serializer, text, reader);
}

describe('an instance of a registered class', () => {
  it('is restored with its prototype, without a run of its constructor', () => {
    const back = through({ prices: [new Money(150), Object.assign(new Money(0), { cents: -5 })] });
    expect(back).toStrictEqual({ prices: [new Money(150), Object.assign(new Money(0), { cents: -5 })] });
    const [first] = (back as { prices: Money[] }).prices;
    expect(first).toBeInstanceOf(Money);
    expect(first?.euros).toBe(1.5);
  });

  it('is restored through serialize and deserialize, private parts included', () => {
    const back = through(new Map([['a', new Secret([new Date(1)])]]));
    expect((back as Map<string, Secret>).get('a')?.parts).toStrictEqual([new Date(1)]);
  });

  it('is never exact: L1 keeps the value that Redis would return', () => {
    expect(serialize([new Money(1)], classes)).toMatchObject({ serializer: 'rich', exact: false });
  });

  it('keeps shared references, and may hold instances of registered classes', () => {
    const price = Object.assign(new Money(1), { parts: new Secret([]) });
    const back = through([price, { price }]) as [Money & { parts: Secret }, { price: Money }];
    expect(back[1].price).toBe(back[0]);
    expect(back[0].parts).toBeInstanceOf(Secret);
  });

  it('may contain itself, unless it has a serialize', () => {
    const loop = new Money(1);
    Object.assign(loop, { deep: [loop] });
    expect(through(loop)).toStrictEqual(loop);
    const holder = new Secret([]);
    const holding = new ClassRegistry([{ name: 'Secret', class: Secret, version: 1, serialize: () => [holder] }]);
    expect(() => serialize(holder, holding)).toThrow(/a Secret that contains itself/);
  });

  it('is refused when its serialize throws, or makes an endless chain', () => {
    const failing = new ClassRegistry([{ ...money, serialize: () => { throw new Error('secret'); } }]); // prettier-ignore
    expect(() => serialize(new Money(1), failing)).toThrow(/^(?!.*secret).*a part that throws when it is read/);
    const deep = new ClassRegistry([{ ...money, serialize: () => new Money(1) }]);
    expect(() => serialize(new Money(1), deep)).toThrow(ValueRefusedError);
  });

  it('of a subclass is an instance of the subclass', () => {
    class Discount extends Money {}
    expect(through([new Discount(1), new Money(2)])).toStrictEqual([new Discount(1), new Money(2)]);
  });
});

describe('a stored instance', () => {
  const stored = serialize(new Money(7), classes).text;
  const read = (reader: ClassRegistry, text = stored) => deserialize('rich', text, reader);

  it('whose class is not known is an unreadable entry, never an object of another prototype', () => {
    expect(() => read(new ClassRegistry())).toThrow(UnknownClassError);
    const renamed = new ClassRegistry([{ ...money, name: 'Cash' }]);
    expect(() => read(renamed)).toThrow(UnknownClassError);
  });

  it('of an older version is migrated, and without migrate a corrupt entry', () => {
    const migrate = (data: unknown, fromVersion: number) => ({ ...Object(data), currency: `v${fromVersion}` });
    const next = new ClassRegistry([{ ...money, version: 2, migrate }]);
    expect(read(next)).toStrictEqual(new Money(7, 'v1'));
    expect(() => read(new ClassRegistry([{ ...money, version: 2 }]))).toThrow(CorruptEntryError);
    const failing = new ClassRegistry([{ ...money, version: 2, migrate: () => { throw new Error('no'); } }]); // prettier-ignore
    expect(() => read(failing)).toThrow(CorruptEntryError);
  });

  it('of a newer version is a corrupt entry', () => {
    const newer = serialize(new Money(7), new ClassRegistry([{ ...money, version: 2 }])).text;
    expect(() => read(classes, newer)).toThrow(CorruptEntryError);
  });

  it.each([
    '[["Class",1],{"name":2,"version":3,"data":4},"constructor",1,{}]',
    '[["Class",1],{"name":2,"version":3,"data":4},"__proto__",1,{}]',
    '[["Class",1],{"name":2,"version":3,"data":4},"Money","1",{}]',
    '[["Class",1],{"name":2,"version":3,"data":4},"Money",0,{}]',
    '[["Class",1],{"name":2,"version":3,"data":4},"Money",1.5,{}]',
    '[["Class",1],{"name":2,"version":3,"data":4},"Money",1,5]',
    '[["Class",1],{"name":2},"Money"]',
    '[["Class",1],"Money"]',
    '[["Class",0]]',
  ])('that is forged is a corrupt entry: %s', (text) => {
    expect(() => read(classes, text)).toThrow(CorruptEntryError);
  });

  it('is never made from stored data that imitates its form', () => {
    for (const value of [
      ['Class', 1],
      { name: 'Money', version: 1, data: {} },
      [['Class', 1], { name: 'Money', version: 1, data: { cents: 1 } }, 1n],
    ]) {
      expect(through(value)).toStrictEqual(value);
    }
  });
});
