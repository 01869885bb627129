import { seededRandom, shuffled, type Random } from '../measure/random.js';
import type { Request } from './policies.js';

export interface Trace {
  readonly name: string;
  readonly requests: readonly Request[];
}

const KEYS = 50_000;
const STEP_MS = 2;
const HOUR_MS = 3_600_000;
const KIB = 1024;

type NextKey = (index: number) => number;

/** Yields one trace at a time; the seed determines all of them. Zipf's law, alone and combined with other patterns. */
export function* generateTraces(seed: number, length: number): Generator<Trace> {
  const random = seededRandom(seed);
  const zipf = (exponent: number) => zipfOver(KEYS, exponent, random);
  const popular = zipf(0.9);
  const scanned = scanBetween(popular, length);
  const uniform = () => KIB;
  yield traceOf('Zipf 0.7', length, zipf(0.7), uniform);
  yield traceOf('Zipf 0.9', length, popular, uniform);
  yield traceOf('Zipf 1.1', length, zipf(1.1), uniform);
  yield traceOf('Zipf 0.9, sizes from 100 B to 100 KB', length, popular, variedBytes);
  yield traceOf('Zipf 0.9 with scans', length, scanned, uniform);
  yield traceOf('Zipf 0.9 with scans, sizes from 100 B to 100 KB', length, scanned, variedBytes);
  yield traceOf('Zipf 0.9, TTLs from 10 s to 10 min', length, popular, uniform, variedTtlMs);
  yield traceOf('hot set that moves', length, movingHotSet(random, length), uniform);
  yield traceOf('newest keys first', length, newestFirst(random), uniform);
  yield loopTrace(length, 0.06);
  yield loopTrace(length, 0.3);
  yield traceOf(
    'loop and Zipf 0.9',
    length,
    (index) => (index % 3 === 0 ? KEYS + ((index / 3) % 9000) : popular(index)),
    uniform,
  );
  const sessions = sessionTrace(seed, length, 4);
  yield sessions;
  yield { ...sessions, name: 'sessions, shuffled', requests: inOtherOrder(sessions.requests, random) };
}

/**
 * As an ORM reads: a session of one user asks for the user and then for the objects of that user, one after the other,
 * in the same order each time; a user has twenty sessions on average. One request of ten is for a popular key of no
 * session.
 * @param atOnce the number of sessions that run at the same time
 */
export function sessionTrace(seed: number, length: number, atOnce: number): Trace {
  const random = seededRandom(seed + 1);
  const users = zipfOver(Math.ceil(length / 100), 0.6, random);
  const others = zipfOver(KEYS / 5, 0.9, random);
  const running: Session[] = [];
  const nextKey = (): number => {
    if (random() < 0.1) {
      return KEYS + others(0);
    }
    const at = Math.floor(random() * atOnce);
    const session = running[at];
    if (session === undefined || session.step === session.steps) {
      const user = users(0);
      running[at] = { user, steps: 3 + (scattered(user) % 4), step: 1 };
      return user * 8;
    }
    return session.user * 8 + session.step++;
  };
  return traceOf(atOnce === 1 ? 'sessions' : `sessions, ${atOnce} at once`, length, nextKey, () => KIB);
}

interface Session {
  readonly user: number;
  /** The number of keys that belong together. */
  readonly steps: number;
  step: number;
}

/** The same requests in a random order: the popularity of the keys stays, and nothing follows from anything. */
function inOtherOrder(requests: readonly Request[], random: Random): Request[] {
  return shuffled(requests, random).map(({ key, bytes, ttlMs }, index) => ({
    key,
    bytes,
    ttlMs,
    atMs: index * STEP_MS,
  }));
}

/** The total size of all entries of a trace. @param bytesOf the size of an entry. Default: as the trace says */
export function footprintBytes({ requests }: Trace, bytesOf = ({ bytes }: Request) => bytes): number {
  const first = new Map(requests.map((request) => [request.key, request]));
  return [...first.values()].reduce((sum, request) => sum + bytesOf(request), 0);
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

/**
 * The same keys again and again, in order, and every tenth time another key that is never read again. The loop is
 * slightly larger than a cache that has `share` of all bytes.
 */
function loopTrace(length: number, share: number): Trace {
  const size = Math.round((share * length) / 10 / (1 - share));
  const nextKey = (index: number): number => (index % 10 === 9 ? KEYS + index : index % size);
  return traceOf(`loop of ${Math.round(share * 100)} % of the keys`, length, nextKey, () => KIB);
}

/** The frequency of rank `r` is proportional to `1 / r^exponent`; a multiplication assigns the ranks to keys. */
function zipfOver(keys: number, exponent: number, random: Random): NextKey {
  const rank = zipfRanks(keys, exponent, random);
  return () => scattered(rank()) % keys;
}

function zipfRanks(ranks: number, exponent: number, random: Random): () => number {
  const cumulated = new Float64Array(ranks);
  let sum = 0;
  for (let rank = 0; rank < ranks; rank++) {
    sum += 1 / (rank + 1) ** exponent;
    cumulated[rank] = sum;
  }
  return () => {
    const point = random() * sum;
    let low = 0;
    let high = ranks - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulated[middle] ?? 0) < point) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
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

/** As news are read: a new key at every sixth request, and the newer a key, the more it is read. LRU's best case. */
function newestFirst(random: Random): NextKey {
  const age = zipfRanks(KEYS, 0.9, random);
  return (index) => KEYS + Math.floor(index / 6) - age();
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
