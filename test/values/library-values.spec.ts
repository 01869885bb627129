import 'reflect-metadata';
import { Temporal as JsTemporal } from '@js-temporal/polyfill';
import { type } from 'arktype';
import { Big } from 'big.js';
import { BigNumber } from 'bignumber.js';
import {
  Binary,
  BSONRegExp,
  Code,
  DBRef,
  Decimal128,
  Double,
  EJSON,
  Int32,
  Long,
  ObjectId,
  Timestamp,
  UUID,
} from 'bson';
import { Exclude, instanceToPlain, plainToInstance, Transform, Type } from 'class-transformer';
import dayjs from 'dayjs';
import utc from 'dayjs/plugin/utc.js';
import timezone from 'dayjs/plugin/timezone.js';
import { Decimal } from 'decimal.js';
import { DateTime, Duration, Interval } from 'luxon';
import moment from 'moment';
import protobuf from 'protobufjs';
import { Temporal } from 'temporal-polyfill';
import * as v from 'valibot';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { AsyncCache, DistributedCacheOptions, ValuesMode } from 'nestjs-distributed-cache/core';
import { podsForTest } from './pods.js';

dayjs.extend(utc);
dayjs.extend(timezone);

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
  @Exclude()
  cost = 7;

  get total(): number {
    return this.lines.reduce((sum, { amount }) => sum + amount, 0);
  }
}

class NotFound extends Error {
  constructor(readonly id: number) {
    super(`no ${id}`);
  }
}

const order = () => plainToInstance(Order, { id: 1, lines: [{ name: 'tea', amount: '2' }], at: 5 });
const at = 1_700_000_000_123;
const Precise = Decimal.clone({ precision: 5 });
const Message = protobuf.parse('syntax="proto3"; message Greeting { string text = 1; }').root.lookupType('Greeting');

type Classes = NonNullable<NonNullable<DistributedCacheOptions['codec']>['classes']>;

/** A value of a library, and what only an instance of its class can tell. */
type Sample = readonly [what: string, make: () => unknown, tell: (value: never) => unknown];

const KEPT: readonly Sample[] = [
  [
    'an instance of class-transformer',
    order,
    (value: Order) => [instanceToPlain(value), value.total, value.lines[0] instanceof Line],
  ],
  [
    'zod',
    () => z.object({ at: z.coerce.date(), tags: z.set(z.string()) }).parse({ at: 0, tags: new Set('a') }),
    String,
  ],
  ['valibot', () => v.parse(v.object({ name: v.string() }), { name: 'a' }), String],
  ['arktype', () => type({ name: 'string' }).assert({ name: 'a' }), String],
  [
    'Decimal',
    () => new Decimal('12345678901234567890.1'),
    (value: Decimal) => [value.times(2).toFixed(3), Object.keys(value).length, value.constructor === Decimal],
  ],
  [
    'BigNumber',
    () => new BigNumber('1.2'),
    (value: BigNumber) => [value.times(2).toFixed(), BigNumber.isBigNumber(value)],
  ],
  [
    'ObjectId',
    () => new ObjectId('65a1b2c3d4e5f60718293a4b'),
    (value: ObjectId) => value.equals('65a1b2c3d4e5f60718293a4b'),
  ],
  ['Long', () => Long.fromString('9007199254740993'), (value: Long) => value.add(1).toString()],
  [
    'Int32 and Double',
    () => [new Int32(5), new Double(1.5)],
    (value: [Int32, Double]) => [value[0].valueOf(), value[1].valueOf()],
  ],
  ['Decimal128', () => Decimal128.fromString('1.50'), String],
  ['Binary', () => new Binary(Buffer.from('abc')), (value: Binary) => value.toString('base64')],
  ['UUID', () => new UUID('a1b2c3d4-e5f6-4718-893a-4b5c6d7e8f90'), (value: UUID) => value.toHexString()],
  ['Timestamp', () => new Timestamp({ t: 5, i: 1 }), (value: Timestamp) => value.getHighBits()],
  [
    'DBRef, Code, BSONRegExp',
    () => ({
      all: [new DBRef('users', new ObjectId('65a1b2c3d4e5f60718293a4b')), new Code('x'), new BSONRegExp('a', 'i')],
    }),
    (value: object) => EJSON.stringify(value),
  ],
  [
    'DateTime of Luxon',
    () => DateTime.fromMillis(at, { zone: 'Europe/Rome', locale: 'it' }),
    (value: DateTime) => [value.plus({ months: 1 }).toFormat('LLLL ZZZZ'), DateTime.isDateTime(value)],
  ],
  ['Duration of Luxon', () => Duration.fromObject({ hours: 3 }), (value: Duration) => value.plus({ hours: 1 }).toISO()],
  [
    'Interval of Luxon',
    () => Interval.after(DateTime.fromMillis(at), { hours: 1 }),
    (value: Interval) => value.contains(DateTime.fromMillis(at + 1)),
  ],
  ['URL', () => new URL('http://localhost/a?b=1'), (value: URL) => value.searchParams.get('b')],
  ['URLSearchParams', () => new URLSearchParams('a=1&a=2'), (value: URLSearchParams) => value.getAll('a')],
  [
    'Buffer and typed arrays',
    () => [Buffer.from('a'), new Uint16Array([1]), new Float64Array([-0])],
    (value: [Buffer]) => value[0].toString('hex'),
  ],
  [
    'Map and Set of instances',
    () => new Map([[new Date(1), new Set([order()])]]),
    (value: Map<Date, Set<Order>>) => [...value].map(([day, all]) => [day.getTime(), [...all][0]?.total]),
  ],
  [
    'Error',
    () => new RangeError('far', { cause: new Error('near') }),
    (value: Error) => [value.message, String(value.cause), value instanceof RangeError],
  ],
];

/** Samples of classes that a line of the configuration registers. Without the line they are refused. */
const REGISTERED: readonly (readonly [...Sample, classes: Classes, problem: RegExp])[] = [
  [
    'Big',
    () => new Big('1.2'),
    (value: Big) => [value.times(2).toString(), value.eq('1.2'), value instanceof Big],
    { Big: { class: Big, serialize: String, deserialize: (text: string) => new Big(text) } },
    /is not that of a class/,
  ],
  [
    'a Decimal with settings of its own',
    () => new Precise(1),
    (value: Decimal) => value.div(3).toString(),
    { Precise: { class: Precise, serialize: String, deserialize: (text: string) => new Precise(text) } },
    /a Decimal at .*its constructor is not that of its prototype/,
  ],
  [
    'Day.js',
    () => dayjs.tz(at, 'Europe/Rome'),
    (value: dayjs.Dayjs) => [value.add(1, 'month').format(), dayjs.isDayjs(value), value.tz('Asia/Tokyo').format()],
    { Dayjs: { class: dayjs } },
    /may belong to another class.*codec\.classes/,
  ],
  [
    'Moment',
    () => moment(at).utcOffset(120).locale('en'),
    (value: moment.Moment) => [value.clone().add(1, 'month').format(), moment.isMoment(value)],
    {
      Moment: {
        class: moment,
        serialize: (date: moment.Moment) => [date.valueOf(), date.utcOffset(), date.locale()],
        deserialize: ([ms, offset, locale]: [number, number, string]) => moment(ms).utcOffset(offset).locale(locale),
      },
    },
    /a Locale at .*a part of a Moment.*a function/,
  ],
  [
    'Temporal of temporal-polyfill',
    () => Temporal.PlainDate.from('2026-01-02'),
    (value: Temporal.PlainDate) => value.add({ days: 1 }).toString(),
    {
      PlainDate: {
        class: Temporal.PlainDate,
        serialize: String,
        deserialize: (text: string) => Temporal.PlainDate.from(text),
      },
    },
    /a PlainDate at .*its state may be elsewhere/,
  ],
  [
    'Temporal of @js-temporal/polyfill',
    () => JsTemporal.Instant.fromEpochMilliseconds(at),
    (value: JsTemporal.Instant) => value.add({ hours: 1 }).toString(),
    {
      Instant: {
        class: JsTemporal.Instant,
        serialize: String,
        deserialize: (text: string) => JsTemporal.Instant.from(text),
      },
    },
    /an Instant at .*its state may be elsewhere/,
  ],
  [
    'a message of protobufjs',
    () => Message.create({ text: 'hello' }),
    (value: protobuf.Message) => [value.toJSON(), Message.encode(value).finish()],
    {
      Greeting: {
        class: Message.ctor,
        serialize: (message: protobuf.Message) => Message.encode(message).finish(),
        deserialize: (bytes: Uint8Array) => Message.decode(bytes),
      },
    },
    /has no name/,
  ],
  [
    'an error of a class',
    () => new NotFound(5),
    (value: NotFound) => [value.message, value.id, value instanceof NotFound],
    {
      NotFound: {
        class: NotFound,
        serialize: (error: NotFound) => error.id,
        deserialize: (id: number) => new NotFound(id),
      },
    },
    /a NotFound at .*extends a built-in/,
  ],
];

const REFUSED: readonly (readonly [...Sample, problem: RegExp])[] = [
  [
    'a formatter of Intl',
    () => ({ format: new Intl.NumberFormat('it') }),
    (value: { format: Intl.NumberFormat }) => value.format.format(1.5),
    /a NumberFormat at value\.format/,
  ],
  ['Headers', () => new Headers({ a: 'b' }), (value: Headers) => value.get('a'), /a Headers at/],
];

const MODES: readonly ValuesMode[] = ['cloned', 'frozen', 'shared'];

/** What a caller can see of a value, apart from its class and whether it is frozen. */
function seenBy([, , tell]: Sample, value: unknown): unknown[] {
  return [JSON.stringify(value), tell(value as never), { ...Object(value) }];
}

/** Compares each answer of a cache with a value that the library has just made. */
async function expectSameAnswers(sample: Sample, mode: ValuesMode, classes: Classes, problem?: RegExp): Promise<void> {
  const { one, two, open, complaints } = podsForTest({ values: mode, grace: '1h' }, { codec: { classes } });
  const [, make] = sample;
  const load = vi.fn(async () => make());
  const made = make();
  const expected = seenBy(sample, made);
  const answers: unknown[] = [];
  const ask = async (cache: AsyncCache, key = 'key'): Promise<void> => {
    const answer = await cache.getOrSet(key, load);
    expect(Object.getPrototypeOf(answer)).toBe(Object.getPrototypeOf(made));
    expect(seenBy(sample, answer)).toEqual(expected);
    answers.push(answer);
  };
  const isKept = problem === undefined;
  await ask(one);
  await ask(one);
  await ask(one);
  expect({ loads: load.mock.calls.length, complaints }).toMatchObject({ loads: isKept ? 1 : 3 });
  await two.getOrSet('another', load); // the process knows the class
  load.mockClear();
  await ask(two);
  await ask(two);
  expect(load).toHaveBeenCalledTimes(isKept ? 0 : 2);
  const unknowing = open();
  await ask(unknowing);
  await ask(unknowing);
  await two.expire('key');
  await ask(two);
  if (isKept) {
    await vi.waitFor(async () => expect(await two.lookup('key')).toMatchObject({ state: 'fresh' }));
  }
  await ask(two);
  await Promise.all([ask(two, 'joined'), ask(two, 'joined'), ask(two, 'joined')]);
  if (mode === 'cloned') {
    expect(new Set(answers).size).toBe(answers.length);
  }
  if (isKept) {
    expect(complaints).toEqual([]);
  } else {
    expect(complaints[0]).toMatch(problem);
  }
}

describe.each(MODES)('a value of a library is the same with the cache as without it (%s)', (mode) => {
  it.each(KEPT)('%s', async (...sample) => {
    await expectSameAnswers(sample, mode, {});
  });

  it.each(REGISTERED)('%s, when its class is registered', async (what, make, tell, classes) => {
    await expectSameAnswers([what, make, tell], mode, classes);
  });

  it.each(REGISTERED)('%s, which is not cached when its class is not registered', async (...row) => {
    const [what, make, tell, , problem] = row;
    await expectSameAnswers([what, make, tell], mode, {}, problem);
  });

  it.each(REFUSED)('%s, which is not cached', async (what, make, tell, problem) => {
    await expectSameAnswers([what, make, tell], mode, {}, problem);
  });
});

/** A number of a library. */
interface Quotient {
  div(divisor: number): { toString(): string };
}
type NumberClass = new (text: string) => Quotient;

/** Libraries whose clones have settings of their own. Those of decimal.js and big.js share one prototype. */
const CLONES: readonly (readonly [string, NumberClass, NumberClass])[] = [
  ['decimal.js', Decimal, Precise],
  ['big.js', Big, Object.assign(Big() as unknown as NumberClass, { DP: 5 })],
  ['bignumber.js', BigNumber, BigNumber.clone({ DECIMAL_PLACES: 5 })],
];

describe('a clone of a class of numbers has its own settings beside the class, wherever both are cached,', () => {
  const registered = (Numbers: NumberClass) => ({
    class: Numbers,
    serialize: String,
    deserialize: (text: string) => new Numbers(text),
  });

  it.each(CLONES)('%s', async (_library, Whole, Clone) => {
    const classes = { Whole: registered(Whole), Clone: registered(Clone) };
    const { one, two } = podsForTest({}, { codec: { classes } });
    const load = vi.fn(async () => [new Whole('1'), new Clone('1')]);
    const expected = (await load()).map((each) => each.div(3).toString());
    expect(expected[0]).not.toBe(expected[1]);
    for (const cache of [one, one, two, two]) {
      const numbers = (await cache.getOrSet('key', load)) as Quotient[];
      expect(numbers.map((each) => each.div(3).toString())).toEqual(expected);
    }
    expect(load).toHaveBeenCalledTimes(2);
  });
});

describe('a date of Luxon, which remembers what it has computed,', () => {
  it("works by default; with values: 'frozen' it can't remember, and throws", async () => {
    const { one } = podsForTest();
    const load = async () => DateTime.fromMillis(at);
    const week = load().then((date) => date.weekNumber);
    await one.getOrSet('key', load);
    const [cached, frozen] = [
      (await one.getOrSet('key', load)) as DateTime,
      (await one.getOrSet('key', load, { values: 'frozen' })) as DateTime,
    ];
    expect(cached.weekNumber).toBe(await week);
    expect(() => frozen.weekNumber).toThrow(TypeError);
  });
});
