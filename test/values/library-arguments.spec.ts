import 'reflect-metadata';
import { Temporal } from '@js-temporal/polyfill';
import { Big } from 'big.js';
import { ObjectId } from 'bson';
import { plainToInstance } from 'class-transformer';
import dayjs from 'dayjs';
import utc from 'dayjs/plugin/utc.js';
import timezone from 'dayjs/plugin/timezone.js';
import { Decimal } from 'decimal.js';
import { DateTime, Duration } from 'luxon';
import moment from 'moment-timezone';
import { describe, expect, it } from 'vitest';
import { encodeArguments } from '../../libs/distributed-cache/src/keys/index.js';

dayjs.extend(utc);
dayjs.extend(timezone);

class Filter {
  page = 1;
}

const at = 1_700_000_000_123;

/** Makes of equal values, and of one that differs. */
const ARGUMENTS: readonly (readonly [string, make: () => object, makeOther: () => object])[] = [
  ['an instance of class-transformer', () => plainToInstance(Filter, { page: 2 }), () => new Filter()],
  ['Decimal', () => new Decimal('1.10'), () => new Decimal('1.11')],
  ['Big', () => new Big('1.10'), () => new Big('1.11')],
  ['ObjectId', () => new ObjectId('65a1b2c3d4e5f60718293a4b'), () => new ObjectId('65a1b2c3d4e5f60718293a4c')],
  [
    'Luxon, another zone',
    () => DateTime.fromMillis(at, { zone: 'Europe/Rome' }),
    () => DateTime.fromMillis(at, { zone: 'Europe/Paris' }),
  ],
  [
    'Luxon, another language',
    () => DateTime.fromMillis(at, { locale: 'it' }),
    () => DateTime.fromMillis(at, { locale: 'fr' }),
  ],
  ['a Duration of Luxon', () => Duration.fromObject({ hours: 1 }), () => Duration.fromObject({ minutes: 60 })],
  ['Day.js, another offset', () => dayjs(at).utcOffset(60), () => dayjs(at).utcOffset(120)],
  ['Day.js, another zone', () => dayjs.tz(at, 'Europe/Rome'), () => dayjs.tz(at, 'Europe/Paris')],
  ['Day.js, another time', () => dayjs.utc(at), () => dayjs.utc(at + 1)],
  ['Moment, another offset', () => moment(at).utcOffset(60), () => moment(at).utcOffset(120)],
  ['Moment, another zone', () => moment.tz(at, 'Europe/Rome'), () => moment.tz(at, 'Europe/Paris')],
  ['a Duration of Moment', () => moment.duration(5000), () => moment.duration(6000)],
  ['Temporal', () => Temporal.PlainDate.from('2026-01-02'), () => Temporal.PlainDate.from('2026-01-02[u-ca=japanese]')],
];

describe('an argument of a library', () => {
  it.each(ARGUMENTS)('has a key that equal values share, and others do not: %s', (_what, make, makeOther) => {
    const [key, again, other] = [make(), make(), makeOther()].map((value) => encodeArguments([value]));
    expect(again).toBe(key);
    expect(other).not.toBe(key);
  });

  it('has a key with its zone and language, if it is a date', () => {
    expect(encodeArguments([dayjs.tz(at, 'Europe/Rome')])).toBe("@M('2023-11-14T22:13:20.123Z','Europe/Rome','en')");
    expect(encodeArguments([moment(at).utcOffset(60)])).toBe("@Moment('2023-11-14T22:13:20.123Z',60,'en')");
    expect(encodeArguments([DateTime.fromMillis(at, { zone: 'Europe/Rome', locale: 'it' })])).toBe(
      "@DateTime('2023-11-14T23:13:20.123+01:00','Europe/Rome','it',null,null)",
    );
    expect(encodeArguments([moment.invalid()])).toBe("@Moment(null,NaN,'en')");
  });

  it('does not change its key when it is used', () => {
    const date = DateTime.fromMillis(at);
    const key = encodeArguments([date]);
    date.plus({ days: 1 }).toFormat('LLLL');
    expect([date.weekNumber > 0, encodeArguments([date])]).toEqual([true, key]);
  });
});
