import 'reflect-metadata';
import { Binary, Decimal128, Long, ObjectId, Timestamp, UUID } from 'bson';
import { Decimal } from 'decimal.js';
import { type } from 'arktype';
import { plainToInstance, Transform, Type } from 'class-transformer';
import { object, parse, string } from 'valibot';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { podsForTest } from './pods.js';

class Line {
  name = '';
  @Transform(({ value }) => Number(value))
  amount = 0;
}

class Order {
  id = 0;
  @Type(() => Line)
  lines: Line[] = [];
  @Type(() => Date)
  at = new Date(0);
}

/** A value of another library, and something that only an instance of its class can tell. */
const values: [what: string, value: object, tell: (value: never) => unknown][] = [
  [
    'a Decimal of decimal.js',
    new Decimal('12345678901234567890.123'),
    (decimal: Decimal) => decimal.times(2).toFixed(3),
  ],
  [
    'an ObjectId of MongoDB',
    new ObjectId('65a1b2c3d4e5f60718293a4b'),
    (id: ObjectId) => [id.toHexString(), id.equals('65a1b2c3d4e5f60718293a4b')],
  ],
  ['a Long of MongoDB', Long.fromString('9007199254740993'), (long: Long) => long.add(1).toString()],
  ['a Decimal128 of MongoDB', Decimal128.fromString('1.50'), (decimal: Decimal128) => decimal.toString()],
  ['a Binary of MongoDB', new Binary(Buffer.from('abc')), (binary: Binary) => binary.toString('base64')],
  ['a UUID of MongoDB', new UUID('a1b2c3d4-e5f6-4718-893a-4b5c6d7e8f90'), (uuid: UUID) => uuid.toHexString()],
  ['a Timestamp of MongoDB', new Timestamp({ t: 5, i: 1 }), (timestamp: Timestamp) => timestamp.getHighBits()],
  [
    'an instance made by class-transformer',
    plainToInstance(Order, { id: 1, lines: [{ name: 'tea', amount: '2' }], at: 5 }),
    (order: Order) => order.at.getTime() + (order.lines[0]?.amount ?? 0),
  ],
  [
    'the output of zod',
    z.object({ at: z.coerce.date(), tags: z.set(z.string()) }).parse({ at: 0, tags: new Set(['a']) }),
    String,
  ],
  ['the output of valibot', parse(object({ name: string() }), { name: 'a' }), String],
  ['the output of arktype', type({ name: 'string' }).assert({ name: 'a' }), String],
];

describe.each(['frozen', 'cloned', 'shared'] as const)('a value of another library (%s)', (mode) => {
  it.each(values)('comes back from every tier, with its class: %s', async (_what, value, tell) => {
    const { one, two, complaints } = podsForTest({ values: mode });
    const given = { rows: [value] };
    const told = tell(value as never);
    const first = await one.getOrSet('a', () => given);
    await two.set('other', value); // the second process knows the class
    for (const read of [first, await one.get('a'), await two.get('a'), await two.get('a')]) {
      const [back] = (read as typeof given).rows;
      expect(back?.constructor).toBe(value.constructor);
      expect({ ...back, constructor: undefined }).toEqual({ ...value, constructor: undefined });
      expect(tell(back as never)).toEqual(told);
    }
    expect(complaints).toEqual([]);
  });
});
