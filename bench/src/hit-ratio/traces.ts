import { seededRandom, type Random } from '../measure/random.js';
import type { Request } from './policy.js';

export interface Trace {
  readonly name: string;
  readonly requests: readonly Request[];
}

const KEYS = 50_000;
const STEP_MS = 2;
const HOUR_MS = 3_600_000;

type NextKey = (index: number) => number;

/** Yields one trace at a time; the seed determines all of them. Zipf's law, alone and combined with other patterns. */
export function* generateTraces(seed: number, length: number): Generator<Trace> {
  const random = seededRandom(seed);
  const zipf = (exponent: number) => zipfOver(KEYS, exponent, random);
  const popular = zipf(0.9);
  const scanned = scanBetween(popular, length);
  const uniform = () => 1024;
  yield traceOf('Zipf 0.7', length, zipf(0.7), uniform);
  yield traceOf('Zipf 0.9', length, popular, uniform);
  yield traceOf('Zipf 1.1', length, zipf(1.1), uniform);
  yield traceOf('Zipf 0.9, sizes from 100 B to 100 KB', length, popular, variedBytes);
  yield traceOf('Zipf 0.9 with scans', length, scanned, uniform);
  yield traceOf('Zipf 0.9 with scans, sizes from 100 B to 100 KB', length, scanned, variedBytes);
  yield traceOf('Zipf 0.9, TTLs from 10 s to 10 min', length, popular, uniform, variedTtlMs);
  yield traceOf('hot set that moves', length, movingHotSet(random, length), uniform);
  yield traceOf('a loop larger than the cache', length, (index) => index % Math.floor(KEYS / 4), uniform);
  yield traceOf(
    'loop and Zipf 0.9',
    length,
    (index) => (index % 3 === 0 ? KEYS + ((index / 3) % 9000) : popular(index)),
    uniform,
  );
}

/** The total size of all entries of a trace. */
export function footprintBytes({ requests }: Trace): number {
  const sizes = new Map(requests.map(({ key, bytes }) => [key, bytes]));
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}

function traceOf(
  name: string,
  length: number,
  nextKey: NextKey,
  bytesOf: (key: number) => number,
  ttlMsOf: (key: number) => number = () => HOUR_MS,
): Trace {
  const requests = Array.from({ length }, (_, index) => {
    const key = nextKey(index);
    return { key: `key:${key}`, bytes: bytesOf(key), ttlMs: ttlMsOf(key), atMs: index * STEP_MS };
  });
  return { name, requests };
}

/** The frequency of rank `r` is proportional to `1 / r^exponent`; a multiplication assigns the ranks to keys. */
function zipfOver(keys: number, exponent: number, random: Random): NextKey {
  const cumulated = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank++) {
    sum += 1 / (rank + 1) ** exponent;
    cumulated[rank] = sum;
  }
  return () => {
    const point = random() * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulated[middle] ?? 0) < point) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return scattered(low) % keys;
  };
}

/** In each tenth of the trace, the first quarter reads new keys once, as a report or a crawler does. */
function scanBetween(popular: NextKey, length: number): NextKey {
  const period = Math.floor(length / 10);
  const scanLength = Math.floor(period / 4);
  return (index) => (index % period < scanLength ? KEYS * 2 + index : popular(index));
}

/** Nine of ten requests read a hot set of keys; eight different sets follow each other. */
function movingHotSet(random: Random, length: number): NextKey {
  const hotKeys = 2000;
  const phase = Math.ceil(length / 8);
  return (index) => {
    const first = Math.floor(index / phase) * hotKeys;
    return random() < 0.9 ? first + Math.floor(random() ** 2 * hotKeys) : Math.floor(random() * KEYS);
  };
}

/** Log-uniform from 100 B to 100 KB, constant per key. */
function variedBytes(key: number): number {
  return Math.round(100 * 10 ** (shareOf(key) * 3));
}

function variedTtlMs(key: number): number {
  return Math.round(10_000 * 60 ** shareOf(key));
}

function shareOf(key: number): number {
  return (scattered(key + 1) % 10_007) / 10_007;
}

function scattered(number: number): number {
  return Math.imul(number + 1, 0x9e3779b1) >>> 0;
}
