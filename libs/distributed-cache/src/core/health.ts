import type { Refusal } from '../redis/index.js';
import { CacheHealth, type RedisFacts } from '../events/index.js';
import type { CacheRuntime, RedisRuntime } from './runtime.js';

/** The effect of a refused command. */
const EFFECTS: Readonly<Record<string, string>> = {
  AUTH: 'the password is not used: Redis needs none, or has no user names (before Redis 6)',
  GET: 'nothing is read from Redis',
  SET: 'nothing is stored in Redis',
  DEL: 'no set and no deletion is acknowledged',
  EVAL: 'no load is shared between processes',
  EVALSHA: 'no load is shared between processes',
  PEXPIRE: 'no load is shared between processes',
  RENAME: 'no load is stored in Redis',
  PTTL: 'what other programs have written is not read',
  PUBLISH: 'changes are not announced to other processes',
  DICTIONARY: 'values are compressed without a dictionary',
  XADD: 'no set and no deletion is acknowledged: other regions would not be told',
  WAIT: 'no set and no deletion is acknowledged (strict)',
};

const COLD = 'the process is warming up (warmUp.requireWarm)';
const UNREPLICATED = 'no replica acknowledges changes (strict): they are repeated until one does';

/** Commands that the cache can replace by others, or do without. */
const DISPENSABLE: ReadonlySet<string> = new Set(['MGET', 'UNLINK', 'MULTI', 'EXEC', 'GETRANGE', 'GET DICTIONARY']);

/** Replies with which Redis refuses every write. */
const NO_WRITES: ReadonlySet<string> = new Set(['READONLY', 'OOM', 'MISCONF', 'NOREPLICAS', 'CLUSTERDOWN']);

/** The effects of replies that are the same for every command. */
const EFFECTS_OF_REPLIES: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...NO_WRITES].map((reply) => [reply, 'nothing is stored in Redis'])),
  CLUSTERDOWN: 'the Cluster is incomplete, and serves no key',
  MOVED: 'the server is a node of a Cluster, and only its own keys are cached (see redis.cluster)',
};

interface RefusalEffect extends Refusal {
  /** `cache:*`, or the name of a channel. */
  readonly keyPattern: string;
  /** The effect, in words for an operator. */
  readonly effect: string;
}

/** A refusal by some masters of a cluster, or by all servers. */
interface RefusalNow extends RefusalEffect {
  readonly servers: readonly string[];
}

/** The effect of a refusal. @returns `undefined` for a command that the cache does without */
export function effectOf({ command, reply }: Refusal, keyPrefix: string): RefusalEffect | undefined {
  const known = EFFECTS_OF_REPLIES[reply];
  if (DISPENSABLE.has(command) && known === undefined) {
    return undefined;
  }
  const keyPattern = command === 'PUBLISH' ? `${keyPrefix}:#changed` : `${keyPrefix}:*`;
  return { command, reply, keyPattern, effect: known ?? EFFECTS[command] ?? 'operations that need it fail' };
}

/** Whether the refusal means that no value can be stored. */
function stopsWrites({ command, reply }: Refusal): boolean {
  return (command === 'SET' && reply !== 'MOVED') || NO_WRITES.has(reply);
}

/** A refusal and its effect as one sentence, for a health check. */
function describeRefusal({ command, reply, keyPattern, effect, servers }: RefusalNow, masters: number): string {
  const what = `${command} on ${keyPattern} (${reply})`;
  return servers.length < masters
    ? `Redis refuses ${what} on ${servers.length} of ${masters} masters: for their keys ${effect}`
    : `Redis refuses ${what}: ${effect}`;
}

/** The refusals; those whose reply is the same for every command are one. */
function together(refusals: readonly RefusalNow[]): readonly RefusalNow[] {
  const found = new Map<string, RefusalNow>();
  for (const refusal of refusals) {
    const { command, reply, keyPattern, servers } = refusal;
    const isOfEvery = EFFECTS_OF_REPLIES[reply] !== undefined;
    const id = `${isOfEvery ? '' : command} ${reply} ${keyPattern}`;
    const known = found.get(id);
    found.set(
      id,
      known === undefined
        ? refusal
        : {
            ...known,
            command: `${known.command}, ${command}`,
            servers: [...new Set([...known.servers, ...servers])],
          },
    );
  }
  return [...found.values()];
}

/**
 * Finds the health of a cache. `up`: Redis answers, or none is configured. `degraded`: Redis does not answer and L1
 * serves, only some masters of a cluster answer, changes by other processes are not received, Redis refuses a command
 * that is needed, or no replica acknowledges changes in strict mode. `down`: neither tier serves, or Redis is required
 * and none of it answers or nothing can be stored. Waits at most `deadlineMs`, or twice that if Redis does not
 * answer in time; never rejects. While the process is warming up and `requireWarm` is set, the health is `down`.
 */
export async function checkHealth(runtime: CacheRuntime): Promise<CacheHealth> {
  const health = await checkTiers(runtime);
  const { facts, isWarm, isRequired } = runtime.warmUp;
  if (facts === undefined) {
    return health;
  }
  const { status, redisConnected, localCacheAvailable, message, redis } = health;
  const isCold = isRequired && !isWarm;
  const causes = [...(isCold ? [COLD] : []), ...(message === undefined ? [] : [message])].join('; ') || undefined;
  return new CacheHealth(isCold ? 'down' : status, redisConnected, localCacheAvailable, causes, redis, facts);
}

async function checkTiers({ config, redis, local }: CacheRuntime): Promise<CacheHealth> {
  const hasLocal = local !== undefined;
  if (!config.enabled) {
    return new CacheHealth('up', false, false, 'the cache is switched off');
  }
  if (redis === undefined) {
    return new CacheHealth('up', false, hasLocal);
  }
  if (await redis.connection.ping()) {
    const { down, nodes } = redis.connection.topology;
    const part = `Redis can't be used on ${down.length} of ${nodes.length} masters (${down.map(({ reason }) => reason).join(', ')})`;
    // Without one of its masters the channels can't all be live: that says no more.
    const { isOff, message } = down.length > 0 ? { isOff: true } : invalidationOf(redis);
    const refused = refusalsOf(redis, config.keyPrefix);
    const relayProblems = redis.outbox?.relay?.state.problems ?? [];
    const causes = [
      ...(down.length > 0 ? [part] : []),
      ...together(refused).map((refusal) => describeRefusal(refusal, nodes.length)),
      ...(redis.isUnreplicated ? [UNREPLICATED] : []),
      ...relayProblems,
      ...(message === undefined ? [] : [message]),
    ];
    const withoutWrites = new Set(refused.filter(stopsWrites).flatMap(({ servers }) => servers));
    down.forEach(({ name }) => withoutWrites.add(name));
    const isDown = config.requireRedis !== false && withoutWrites.size >= nodes.length;
    const isDegraded = isOff || redis.isUnreplicated || refused.length > 0 || relayProblems.length > 0;
    const status = isDown ? 'down' : isDegraded ? 'degraded' : 'up';
    return new CacheHealth(status, true, hasLocal, causes.join('; ') || undefined, factsOf(redis));
  }
  const cause = `Redis can't be used (${redis.connection.reason})`;
  if (config.requireRedis !== false) {
    return new CacheHealth('down', false, hasLocal, `${cause} and is required`, factsOf(redis));
  }
  if (hasLocal && config.fallback !== false) {
    return new CacheHealth('degraded', false, hasLocal, `${cause}; the local tier serves`, factsOf(redis));
  }
  return new CacheHealth('down', false, hasLocal, `${cause} and there is no fallback`, factsOf(redis));
}

/**
 * The state of the invalidation channel. A channel that is being set up, for the first time or again, and has not
 * failed yet is not a fault.
 */
function invalidationOf({ changes }: RedisRuntime): { readonly isOff: boolean; readonly message?: string } {
  const { state, lostReason } = changes;
  if (state === 'live' || lostReason === undefined) {
    return { isOff: false };
  }
  return state === 'announced'
    ? { isOff: false, message: `only changes that other processes announce are received: ${lostReason}` }
    : { isOff: true, message: `invalidation is off: ${lostReason}` };
}

/** The refusals without which the cache can't do, with their effects and servers. */
export function refusalsOf({ connection }: RedisRuntime, keyPrefix: string): readonly RefusalNow[] {
  return connection.refusals.all.flatMap((refusal) => {
    const effect = effectOf(refusal, keyPrefix);
    return effect === undefined ? [] : [{ ...effect, servers: refusal.servers }];
  });
}

function factsOf({ connection, changes, journal, home, outbox }: RedisRuntime): RedisFacts {
  const relay = outbox?.relay?.state;
  return {
    ...(relay && { relay: relay.leads ? 'leads' : 'follows' }),
    connection: connection.state,
    invalidation: changes.state,
    journalLength: journal.size,
    sinceAnswerMs: connection.sinceAnswerMs,
    nodesDown: connection.topology.down.length,
    ...(home !== undefined && { home: home.facts }),
  };
}
