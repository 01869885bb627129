import { describeKey, type DistributedCache } from '../core/index.js';
import { EXIT, printable } from './output.js';
import type { Run, Session } from './session.js';

/** Prints changes as they happen, until it is interrupted. */
export const watch: Run = async (session, { options }) => {
  const { out } = session;
  const namespace = options['ns'];
  const kinds = options['event'] as readonly string[] | undefined;
  const isWhole = options['keys'] === true;
  const tell = (kind: string, fields: Readonly<Record<string, string>>): void => {
    if (kinds !== undefined && !kinds.includes(kind)) {
      return;
    }
    const atMs = Date.now();
    out.json({ atMs, kind, ...fields });
    const texts = Object.values(fields).filter((text) => text !== '');
    out.line(`${new Date(atMs).toISOString().slice(11, 23)}  ${kind.padEnd(10)}  ${texts.map(printable).join('  ')}`);
  };
  const cache = await session.open();
  cache.operations.recent.onChange = ({ kind, namespace: where, name }) => {
    if (namespace === undefined || namespace === where || kind === 'all') {
      tell(kind, { namespace: where, name: kind === 'key' && !isWhole ? describeKey(name) : name });
    }
  };
  cache.events.on('redisConnected', ({ address }) => tell('connection', { state: 'connected', detail: address }));
  cache.events.on('redisConnectionFailed', ({ reason }) => tell('connection', { state: 'lost', detail: reason }));
  cache.events.on('invalidationOff', () => tell('connection', { state: 'changes may be missed', detail: '' }));
  cache.events.on('invalidationOn', () => tell('connection', { state: 'changes are received', detail: '' }));
  out.note(`Watching ${cache.config.redisAddress ?? ''}, prefix ${cache.config.keyPrefix}. Ctrl-C ends it.`);
  await untilInterrupted(session);
  return EXIT.ok;
};

async function untilInterrupted({ interrupted: { signal } }: Session): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** About 1 KB of JSON. */
const VALUE = { text: 'x'.repeat(1000) };
const LIFE_SECONDS = 60;
/** The longest wait for one invalidation message, in milliseconds. */
const LONGEST_LAG_MS = 1000;

/** Measures this Redis from here. Its entries are removed afterwards, and live for a minute at most. */
export const bench: Run = async (session, { options }) => {
  const { out } = session;
  const count = Number(options['count']);
  const cache = await session.open();
  const other = await session.open();
  const namespace = `cli-bench-${process.pid}`;
  const entries = cache.getCache(namespace, { ttl: LIFE_SECONDS, compression: false });
  const key = (index: number): string => `key:${index % 100}`;
  try {
    const steps: readonly (readonly [name: string, about: string, run: (index: number) => Promise<unknown>])[] = [
      ['write', 'set, 1 KB', (index) => entries.set(key(index), VALUE)],
      ['read', 'get, 1 KB', (index) => entries.get(key(index))],
      ['load', 'getOrSet of a missing key: lease, empty loader, store', (index) => loadAnew(cache, namespace, index)],
      ['invalidation', 'from a set to the message in another connection', lagOf(cache, other, namespace)],
    ];
    const results: { name: string; about: string; count: number; p50Ms: number; p99Ms: number }[] = [];
    for (const [name, about, run] of steps) {
      const times: number[] = [];
      for (let index = 0; index < count && !session.interrupted.signal.aborted; index++) {
        const beganAtMs = performance.now();
        await run(index);
        times.push(performance.now() - beganAtMs);
        if (index % 100 === 0) {
          out.progress(`${name}: ${index} of ${count}`);
        }
      }
      times.sort((one, another) => one - another);
      results.push({ name, about, count: times.length, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) });
    }
    out.clearProgress();
    out.json({ redis: cache.config.redisAddress, operations: results });
    out.table(
      ['operation', 'p50 ms', 'p99 ms', 'what'],
      results.map(({ name, about, p50Ms, p99Ms }) => [name, p50Ms.toFixed(2), p99Ms.toFixed(2), about]),
    );
    return EXIT.ok;
  } finally {
    await removeAll(cache, namespace, count);
  }
};

async function loadAnew(cache: DistributedCache, namespace: string, index: number): Promise<unknown> {
  return cache.getCache(namespace).getOrSet(`load:${index}`, async () => VALUE, { ttl: LIFE_SECONDS });
}

/** Changes a key, and waits until the other cache has heard of it. */
function lagOf(cache: DistributedCache, other: DistributedCache, namespace: string): (index: number) => Promise<void> {
  return async (index) => {
    const key = `lag:${index % 100}`;
    const heard = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LONGEST_LAG_MS);
      other.operations.recent.onChange = (change) => {
        if (change.namespace === namespace && change.name === key) {
          clearTimeout(timer);
          resolve();
        }
      };
    });
    await Promise.all([cache.getCache(namespace).set(key, VALUE), heard]);
  };
}

async function removeAll(cache: DistributedCache, namespace: string, count: number): Promise<void> {
  const upTo = Math.min(count, 100);
  const names = ['key', 'lag'].flatMap((kind) => Array.from({ length: upTo }, (_, index) => `${kind}:${index}`));
  const loads = Array.from({ length: count }, (_, index) => `load:${index}`);
  await cache.getCache(namespace).deleteMany([...names, ...loads]);
  const stamp = `${cache.config.keyPrefix}:${namespace}:#clear`;
  await cache.redis?.connection.run('UNLINK', (client) => client.del(stamp), stamp);
}

function quantile(sorted: readonly number[], part: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return Math.round(value * 1000) / 1000;
}
