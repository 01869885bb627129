import { setTimeout as delay } from 'node:timers/promises';
import { inspect as show } from 'node:util';
import {
  describeKey,
  type DistributedCache,
  type EntryInspection,
  type Gathered,
  hitRatePercent,
  type LocalInspection,
  mergeTop,
  type ProcessFacts,
  type ProcessName,
  type SummedMetrics,
  sumMetrics,
  type TopOrder,
} from '../core/index.js';
import { bytesText, durationText, EXIT, type Output, printable, printableLines } from './output.js';
import { type Run, keyOf, type Session } from './session.js';

const DEFAULT_WATCH_SECONDS = 2;

/** The counters, summed over all processes. */
export const stats: Run = async (session, { args: [namespace], options }) => {
  const { out } = session;
  const cache = await session.open();
  const everySeconds = secondsOf(options['watch']);
  let before: readonly SummedMetrics[] | undefined;
  do {
    const found = await cache.operations.metrics(namespace === undefined ? {} : { namespace });
    session.requireAnswers(found);
    const namespaces = sumMetrics(found);
    const byProcess = found.answers.map(({ process, answer }) => ({
      process,
      namespaces: sumMetrics({ ...found, answers: [{ process, answer }] }),
    }));
    out.json({ processes: found.answers.length, unanswered: found.unanswered, namespaces, byProcess });
    out.clearScreen();
    out.line(`${found.answers.length} processes, prefix ${cache.config.keyPrefix}`);
    if (options['byProcess'] === true) {
      const rows = byProcess.flatMap(({ process, namespaces: own }) =>
        own.map((each) => [nameOf(process), ...rowOf(each)]),
      );
      out.table(['process', ...STATS_HEAD], rows);
    } else {
      out.table(
        STATS_HEAD,
        namespaces.map((each) => rowOf(since(each, before))),
      );
    }
    before = namespaces;
  } while (await pause(session, everySeconds));
  return EXIT.ok;
};

const STATS_HEAD = [
  'namespace',
  'lookups',
  'hit %',
  'memory',
  'redis',
  'misses',
  'loads',
  'stale',
  'errors',
  'deletes',
];

function rowOf(sum: SummedMetrics): (string | number)[] {
  const { namespace, total_requests: lookups, local_hits: local, redis_hits: redis, misses, loads } = sum;
  const hitRate = lookups === 0 ? '-' : sum.hit_rate_percent.toFixed(1);
  return [namespace, lookups, hitRate, local, redis, misses, loads, sum.stale_served, sum.errors, sum.deletes];
}

/** What has happened since the sums before; the sums themselves where there are none. */
function since(sum: SummedMetrics, before: readonly SummedMetrics[] | undefined): SummedMetrics {
  const earlier = before?.find(({ namespace }) => namespace === sum.namespace) as Record<string, unknown> | undefined;
  const risen = Object.entries(sum).map(([name, value]) => {
    const then = earlier?.[name];
    return [name, typeof value === 'number' && typeof then === 'number' ? Math.max(0, value - then) : value] as const;
  });
  const result = Object.fromEntries(risen) as unknown as SummedMetrics;
  const { hits, total_requests: lookups } = result;
  return { ...result, hit_rate_percent: hitRatePercent(hits, lookups) };
}

/** The pause between two looks, in seconds; `undefined` for one look. */
function secondsOf(watch: unknown): number | undefined {
  return watch === true ? DEFAULT_WATCH_SECONDS : typeof watch === 'number' ? watch : undefined;
}

/** Waits. @returns false if there is nothing to wait for, or the user has interrupted it */
async function pause(session: Session, seconds: number | undefined): Promise<boolean> {
  if (seconds === undefined) {
    return false;
  }
  try {
    await delay(seconds * 1000, undefined, { signal: session.interrupted.signal });
    return true;
  } catch {
    return false;
  }
}

const ORDERS: Readonly<Record<string, TopOrder>> = { hits: 'uses', bytes: 'bytes', load: 'loadMs', saved: 'savedMs' };

/** The entries of L1 that rank first. */
export const top: Run = async (session, { options }) => {
  const { out } = session;
  const cache = await session.open();
  const by = ORDERS[String(options['by'])] ?? 'uses';
  const count = Number(options['count']);
  const namespace = options['ns'];
  const found = await cache.operations.top({ by, count, ...(typeof namespace === 'string' && { namespace }) });
  session.requireAnswers(found);
  const isWhole = options['keys'] === true;
  const entries = mergeTop(found, by, count).map((entry) =>
    Object.assign(entry, { key: isWhole ? entry.key : describeKey(entry.key) }),
  );
  out.json({ processes: found.answers.length, unanswered: found.unanswered, by: options['by'], entries });
  out.table(
    ['namespace', 'key', 'hits', 'size', 'load', 'saved', 'processes'],
    entries.map(({ namespace: name, key, uses, bytes, loadMs, savedMs, processes: holders }) => [
      name,
      key,
      uses,
      bytesText(bytes),
      durationText(loadMs),
      durationText(savedMs),
      holders,
    ]),
  );
  if (!isWhole && entries.length > 0) {
    out.line(out.style('dim', '--keys shows whole keys'));
  }
  return EXIT.ok;
};

/** What each tier holds for a key. */
export const inspect: Run = async (session, { args: [namespace = '', text = ''], options }) => {
  const { out } = session;
  const cache = await session.open();
  const key = keyOf(text);
  const entries = cache.getCache(namespace);
  const [{ redis, redisKey }, found] = await Promise.all([
    entries.inspect(key),
    cache.operations.inspect(namespace, key),
  ]);
  session.requireAnswers(found);
  const processes = found.answers.map(({ process, answer }) => Object.assign({ process }, answer));
  const value = options['value'] === true ? await entries.lookup(key) : undefined;
  out.json({ namespace, redisKey, redis, processes, unanswered: found.unanswered, ...(value && { value }) });
  out.line(`${out.style('bold', 'Redis')}  ${printable(redisKey)}`);
  describeRedis(out, redis);
  out.line();
  out.table(
    ['process', 'memory', 'left', 'size', 'tags', 'loading', 'deletion pending'],
    processes.map(({ process, local, isLoading, isJournalled }) => [
      nameOf(process),
      ...localRow(local),
      isLoading ? 'yes' : '',
      isJournalled ? 'yes' : '',
    ]),
  );
  if (value !== undefined) {
    out.line();
    out.line(value.state === 'miss' ? 'no value can be read' : printableLines(show(value.value, { depth: 8 })));
  }
  const isHeld = !['missing', 'none', 'unreachable'].includes(redis.state);
  const isInMemory = processes.some(({ local }) => local.state === 'fresh' || local.state === 'stale');
  return isHeld || isInMemory ? EXIT.ok : EXIT.no;
};

function describeRedis(out: Output, redis: EntryInspection['redis']): void {
  const lines: [string, string][] = [['state', redis.state]];
  if (redis.state === 'fresh' || redis.state === 'stale') {
    lines.push(
      ['counts', redis.isCurrent ? 'yes' : 'no: cleared, purged, or of another version'],
      ['age', durationText(redis.ageMs)],
      ['left', `${durationText(Math.max(0, redis.ttlMs))}, then ${durationText(redis.graceMs)} as stale`],
      [
        'size',
        `${bytesText(redis.storedBytes)} (${redis.serializer}, ${redis.compressor}; ${bytesText(redis.rawBytes)} raw)`,
      ],
      ['load', durationText(redis.loadMs)],
      ['tags', redis.tags.map(({ name, isCurrent }) => (isCurrent ? name : `${name} (purged)`)).join(', ') || 'none'],
    );
  }
  if ('lease' in redis) {
    lines.push(['lease', redis.lease]);
  }
  for (const [name, value] of lines) {
    out.line(`  ${name.padEnd(8)}${printable(value)}`);
  }
}

function localRow(local: LocalInspection): [string, string, string, string] {
  if (local.state === 'missing' || local.state === 'off') {
    return [local.state, '', '', ''];
  }
  const state = local.isCurrent && local.isTrusted ? local.state : `${local.state}, not used`;
  const tags = local.tags.map(({ name, isCurrent }) => (isCurrent ? name : `${name} (purged)`)).join(', ');
  return [state, durationText(Math.max(0, local.ttlMs)), bytesText(local.heapBytes), tags];
}

/** The processes that use the cache. */
export const processes: Run = async (session) => {
  const { out } = session;
  const cache = await session.open();
  const found = await cache.operations.processes();
  session.requireAnswers(found);
  const differences = skewOf(found);
  out.json({
    processes: found.answers.map(({ process, answer }) => Object.assign({ process }, answer)),
    unanswered: found.unanswered,
    differences,
  });
  out.table(
    ['process', 'application', 'version', 'node', 'config', 'up', 'redis', 'invalidation', 'journal', 'memory', 'heap'],
    found.answers.map(({ process, answer }) => [
      nameOf(process),
      process.application ?? '',
      answer.version,
      answer.node,
      answer.config,
      durationText(answer.uptimeSeconds * 1000),
      redisCell(answer),
      { text: answer.invalidation, style: answer.invalidation === 'live' ? 'green' : 'red' },
      answer.journalLength,
      `${bytesText(answer.localBytes)} of ${bytesText(answer.localMaxBytes)}`,
      bytesText(answer.heapBytes),
    ]),
  );
  differences.forEach((difference) => out.line(out.style('yellow', difference)));
  return differences.length > 0 ? EXIT.no : EXIT.ok;
};

function redisCell({ redis, refused = [] }: ProcessFacts): { readonly text: string; readonly style: 'green' | 'red' } {
  const text = refused.length === 0 ? redis : `${redis}, refuses ${refused.join(', ')}`;
  return { text, style: text === 'live' ? 'green' : 'red' };
}

/** In what the processes of one application differ although they should not. */
export function skewOf({ answers }: Gathered<ProcessFacts>): string[] {
  const differences: string[] = [];
  const applications = new Set(answers.map(({ process }) => process.application ?? ''));
  for (const application of applications) {
    const own = answers.filter(({ process }) => (process.application ?? '') === application);
    for (const name of ['version', 'config'] as const) {
      const values = new Set(own.map(({ answer }) => answer[name]));
      if (values.size > 1) {
        const of = application === '' ? '' : ` of ${printable(application)}`;
        differences.push(`processes${of} differ in ${name}: ${[...values].map(printable).join(', ')}`);
      }
    }
  }
  return differences;
}

export function nameOf({ host, pid }: ProcessName): string {
  return `${host}:${pid}`;
}

/** The namespaces that any process uses. */
export async function namespacesOf(session: Session, cache: DistributedCache): Promise<string[]> {
  const found = await cache.operations.processes();
  session.requireAnswers(found);
  return [...new Set(found.answers.flatMap(({ answer }) => answer.namespaces))].sort();
}
