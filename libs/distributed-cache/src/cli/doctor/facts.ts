import { setTimeout as delay } from 'node:timers/promises';
import { ENVELOPE_VERSION, type EnvelopeHead, HEAD_BYTES, readHead } from '../../codec/index.js';
import {
  type CacheConfig,
  type CacheHealth,
  type DistributedCache,
  type Gathered,
  mergeTop,
  type ProcessFacts,
  type SummedMetrics,
  sumMetrics,
  type TopOfAll,
} from '../../core/index.js';
import { checkPermissions, clientVersion, isCluster, type RedisClient, type Refusal } from '../../redis/index.js';

/*
 * What the checks of the doctor look at. It is collected once: a few commands to each server, a sample of the keys, and
 * four questions to the processes. What Redis refuses is `undefined`, and the checks that need it say so.
 */

/** One server, or one master of a Cluster. */
export interface ServerFacts {
  readonly info: ReadonlyMap<string, string>;
  /** What `CONFIG GET` answers; managed services refuse it. */
  readonly settings: ReadonlyMap<string, string> | undefined;
  readonly clusterInfo: ReadonlyMap<string, string> | undefined;
}

/** The kinds of keys under the key prefix. */
export interface SampledValue {
  readonly key: string;
  readonly namespace: string;
  /** The rest of its life in Redis, in milliseconds; -1 without an end. */
  readonly pttlMs: number;
  readonly bytes: number;
  /** Absent for a value without an envelope. */
  readonly head: EnvelopeHead | undefined;
}

export interface KeySample {
  /** How many keys were looked at. */
  readonly size: number;
  readonly values: readonly SampledValue[];
  /** The leases with the rest of their lives. */
  readonly leases: readonly { readonly key: string; readonly pttlMs: number }[];
  /** Keys that the cache does not write. */
  readonly foreign: readonly string[];
}

export interface Facts {
  readonly config: CacheConfig;
  readonly isStrict: boolean;
  readonly health: CacheHealth;
  readonly refusals: readonly Refusal[];
  /** Round trips, in milliseconds, sorted. */
  readonly pingsMs: readonly number[];
  /** By how much the clock of Redis is ahead of that of this machine, in milliseconds. */
  readonly clockAheadMs: number | undefined;
  readonly servers: readonly ServerFacts[] | undefined;
  readonly sample: KeySample | undefined;
  readonly processes: Gathered<ProcessFacts>;
  readonly metrics: readonly SummedMetrics[];
  /** The largest entries of L1 with more than 100 KB, and whether readers get copies of them. */
  readonly largest: readonly (TopOfAll & { readonly isCopied: boolean })[];
  /** The versions of ioredis that the application and this library load. */
  readonly clients: { readonly application: string | undefined; readonly library: string | undefined };
  readonly env: NodeJS.ProcessEnv;
  readonly envelopeVersion: number;
}

export interface FactsOptions {
  readonly sampleSize: number;
  readonly isStrict: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** The folder of the application. */
  readonly folder: string;
  readonly now: () => number;
  readonly onProgress: (text: string) => void;
}

type Client = Exclude<RedisClient, { readonly isCluster: true }>;

/** Collects the facts over an open connection. */
export async function collectFacts(cache: DistributedCache, options: FactsOptions): Promise<Facts> {
  const { config, operations } = cache;
  const prefix = `${config.keyPrefix}:`;
  const redis = cache.redis;
  if (redis === undefined) {
    throw new TypeError('collectFacts needs a cache with a Redis');
  }
  const { connection } = redis;
  // A replica that is asked to write loses its connection, as after a failover: a question is asked again then.
  const ask = async <Answer>(send: (client: RedisClient) => Promise<Answer>): Promise<Answer | undefined> => {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        return await connection.run('OPERATION', (client) => send(client).catch(unlessReply));
      } catch {
        await delay(BETWEEN_ATTEMPTS_MS);
      }
    }
    return undefined;
  };
  options.onProgress('the server');
  await checkPermissions(connection, prefix);
  const pingsMs = await pings(ask);
  const clock = await ask(async (client) => ({ time: await client.time(), nowMs: options.now() }));
  const servers = await ask((client) => Promise.all(mastersOf(client).map(serverFacts)));
  const sample = await ask((client) => sampleKeys(client, prefix, options));
  options.onProgress('the processes');
  const processes = await operations.processes();
  const metrics = sumMetrics(await operations.metrics());
  return {
    config,
    isStrict: options.isStrict || config.strict,
    health: await cache.healthCheck(),
    refusals: connection.refusals.all,
    pingsMs,
    clockAheadMs: clock && Number(clock.time[0]) * 1000 + Number(clock.time[1]) / 1000 - clock.nowMs,
    servers,
    sample,
    processes,
    metrics,
    largest: await largestCopies(cache),
    clients: { application: clientVersion(options.folder), library: clientVersion(import.meta.dirname) },
    env: options.env,
    envelopeVersion: ENVELOPE_VERSION,
  };
}

const ATTEMPTS = 5;
const BETWEEN_ATTEMPTS_MS = 200;
const PINGS = 20;

async function pings(ask: (send: (client: RedisClient) => Promise<unknown>) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < PINGS; index++) {
    const beganAtMs = performance.now();
    await ask((client) => client.ping());
    times.push(performance.now() - beganAtMs);
  }
  return times.sort((one, other) => one - other);
}

function mastersOf(client: RedisClient): Client[] {
  return isCluster(client) ? client.nodes('master') : [client];
}

const SETTINGS = ['maxmemory', 'maxmemory-policy', 'client-output-buffer-limit', 'cluster-require-full-coverage'];

async function serverFacts(client: Client): Promise<ServerFacts> {
  const info = linesOf(await client.info());
  const settings = await Promise.all(SETTINGS.map((name) => client.config('GET', name).catch(unlessReply)));
  const pairs = settings.map((answer) => (Array.isArray(answer) ? (answer as string[]) : []));
  const isOfCluster = info.get('cluster_enabled') === '1';
  const clusterInfo = isOfCluster ? await client.cluster('INFO').catch(unlessReply) : undefined;
  return {
    info: new Map([...info, ...linesOf((await client.info('commandstats').catch(unlessReply)) ?? '')]),
    settings: pairs.every(({ length }) => length === 0)
      ? undefined
      : new Map(pairs.map(([name = '', value = '']) => [name, value])),
    clusterInfo: typeof clusterInfo === 'string' ? linesOf(clusterInfo) : undefined,
  };
}

function linesOf(text: string): Map<string, string> {
  return new Map(
    text
      .split(/\r?\n/)
      .filter((line) => line.includes(':') && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

const SCAN_COUNT = 500;

async function sampleKeys(
  client: RedisClient,
  prefix: string,
  { sampleSize, onProgress }: FactsOptions,
): Promise<KeySample> {
  const sample = {
    size: 0,
    values: [] as SampledValue[],
    leases: [] as KeySample['leases'][number][],
    foreign: [] as string[],
  };
  const masters = mastersOf(client);
  for (const master of masters) {
    let cursor = '0';
    const most = Math.ceil(sampleSize / masters.length);
    let seen = 0;
    do {
      const [next, keys] = await master.scan(cursor, 'MATCH', `${escaped(prefix)}*`, 'COUNT', SCAN_COUNT);
      cursor = next;
      const some = keys.slice(0, most - seen);
      seen += some.length;
      await Promise.all(some.map((key) => look(master, key, prefix, sample)));
      sample.size += some.length;
      onProgress(`${sample.size} keys`);
    } while (cursor !== '0' && seen < most);
  }
  return sample;
}

/** A prefix as a pattern: a dot and the like are plain, and no other character of a pattern is allowed in a prefix. */
function escaped(prefix: string): string {
  return prefix.replace(/[?*[\]\\]/g, '\\$&');
}

type MutableSample = { values: SampledValue[]; leases: KeySample['leases'][number][]; foreign: string[] };

async function look(client: Client, key: string, prefix: string, sample: MutableSample): Promise<void> {
  const name = key.slice(prefix.length);
  if (name.startsWith('{')) {
    if (name.endsWith(':lease')) {
      sample.leases.push({ key, pttlMs: await client.pttl(key) });
    }
    return;
  }
  if (name.startsWith('#')) {
    return; // the proof of an invalidation channel
  }
  const type = await client.type(key);
  const [, namespace] = /^([A-Za-z0-9_.-]+):./s.exec(name) ?? [];
  if (namespace === undefined || (type !== 'string' && type !== 'none')) {
    sample.foreign.push(key);
  } else if (type === 'string' && !name.startsWith(`${namespace}:#`)) {
    const [pttlMs, bytes, begin] = await Promise.all([
      client.pttl(key),
      client.strlen(key),
      client.getrangeBuffer(key, 0, HEAD_BYTES - 1),
    ]);
    sample.values.push({ key, namespace, pttlMs, bytes, head: readHead(begin) });
  }
}

const LARGE_BYTES = 100_000;

/** The large entries of L1 that are read often, and whether readers get copies of them. */
async function largestCopies(cache: DistributedCache): Promise<Facts['largest']> {
  const { operations } = cache;
  const large = mergeTop(await operations.top({ by: 'bytes', count: 10 }), 'bytes', 5).filter(
    ({ bytes }) => bytes > LARGE_BYTES,
  );
  return Promise.all(
    large.map(async (entry) => {
      const { answers } = await operations.inspectEncoded(entry.namespace, entry.key);
      const isCopied = answers.some(({ answer: { local } }) => 'isCopiedOnRead' in local && local.isCopiedOnRead);
      return Object.assign(entry, { isCopied });
    }),
  );
}

function unlessReply(error: unknown): undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') {
    throw error;
  }
}

/** The result of one check. `unknown`: Redis, or the processes, do not tell. */
export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail' | 'unknown';
  /** What was found, in a few words. */
  readonly found: string;
  /** What to do. */
  readonly advice?: string;
}

/** One check: what it looks at, and how it judges. */
export interface Check {
  readonly id: string;
  /** What must be true. */
  readonly about: string;
  readonly find: (facts: Facts) => Finding;
}

export const ok = (found: string): Finding => ({ status: 'ok', found });
export const warn = (found: string, advice: string): Finding => ({ status: 'warn', found, advice });
export const fail = (found: string, advice: string): Finding => ({ status: 'fail', found, advice });
export const unknown = (found: string): Finding => ({ status: 'unknown', found });
