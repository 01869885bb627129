/**
 * `node bench/codec/serializers.mjs`, after `npm run build`: the time to write and to read a value, compared with other
 * serializers, as ratios to `JSON.stringify` and `JSON.parse` of the same value in the same round. Also whether the value
 * that is read equals the one that was written. The contestants take turns. A size is a ratio to the bytes of the JSON, a
 * figure the median of all rounds.
 */
import { isDeepStrictEqual } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { decode as readCbor, encode as writeCbor } from 'cbor-x';
import * as devalue from 'devalue';
import { pack, unpack } from 'msgpackr';
import superjson from 'superjson';

const { ValueCodec } = await import('../../libs/distributed-cache/dist/codec/index.js');
const codec = new ValueCodec({ maxValueBytes: 1e8, compression: false });

const FLOOR = 'JSON (the floor)';
const CONTESTANTS = {
  [FLOOR]: { write: JSON.stringify, read: (text) => JSON.parse(text) },
  'this library': { write: (value) => codec.encode(value).payload(), read: (payload) => codec.decode(payload).value },
  devalue: { write: devalue.stringify, read: devalue.parse },
  superjson: { write: superjson.stringify, read: superjson.parse },
  msgpackr: { write: pack, read: unpack },
  'cbor-x': { write: writeCbor, read: readCbor },
  'v8.serialize': { write: serialize, read: deserialize },
};
const ROUNDS = 21;

const record = (index) => ({
  id: index,
  title: `product number ${index}`,
  price: index * 1.25,
  tags: ['a', 'b'],
  stock: true,
});
const VALUES = {
  'plain data, 1 KB': { products: Array.from({ length: 11 }, (_, index) => record(index)) },
  'plain data, 100 KB': { products: Array.from({ length: 1100 }, (_, index) => record(index)) },
  'rich data, 1 KB': {
    at: new Date(0),
    seen: new Map([['a', new Set([1, 2n])]]),
    odd: [NaN, -0, Infinity, undefined],
    raw: new Uint8Array([1, 2, 3]),
    products: Array.from({ length: 9 }, (_, index) => record(index)),
  },
};

for (const [name, value] of Object.entries(VALUES)) {
  const calls = name.includes('100 KB') ? 20 : 1000;
  const names = Object.keys(CONTESTANTS);
  const figures = new Map(names.map((each) => [each, { write: [], read: [] }]));
  for (let round = 0; round < ROUNDS; round++) {
    const times = new Map();
    // The order rotates, so that no contestant always runs after one that leaves much garbage.
    for (const each of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      times.set(each, timesOf(CONTESTANTS[each], value, calls));
    }
    const [writeFloor, readFloor] = times.get(FLOOR);
    for (const [each, [write, read]] of times) {
      figures.get(each).write.push(write / writeFloor);
      figures.get(each).read.push(read / readFloor);
    }
  }
  console.log(`\n${name}\n\n| serializer | write | read | size | equal when read |\n| --- | --- | --- | --- | --- |`);
  for (const [each, { write, read }] of figures) {
    const contestant = CONTESTANTS[each];
    const size = (bytesOf(contestant, value) / bytesOf(CONTESTANTS[FLOOR], value)).toFixed(2);
    console.log(
      `| ${each} | ${show(write)} | ${show(read)} | ${size} | ${isEqual(contestant, value) ? 'yes' : 'no'} |`,
    );
  }
}

/** The size of the written value in bytes; 0 if the serializer rejects the value. */
function bytesOf({ write }, value) {
  try {
    const written = write(value);
    return Buffer.byteLength(written.data ?? written.bytes ?? written);
  } catch {
    return 0;
  }
}

/** Nanoseconds per call; `Infinity` if the serializer rejects the value. */
function timesOf({ write, read }, value, calls) {
  try {
    const written = write(value);
    return [time(() => write(value), calls), time(() => read(written), calls)];
  } catch {
    return [Infinity, Infinity];
  }
}

function time(work, calls) {
  const startedAt = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) {
    work();
  }
  return Number(process.hrtime.bigint() - startedAt) / calls;
}

function isEqual({ write, read }, value) {
  try {
    return isDeepStrictEqual(read(write(value)), value);
  } catch {
    return false;
  }
}

function show(ratios) {
  const median = ratios.toSorted((one, other) => one - other)[Math.floor(ratios.length / 2)];
  return Number.isFinite(median) ? `${median.toFixed(1)}x` : 'refuses';
}
