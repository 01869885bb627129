import { bytesText } from '../output.js';
import { type Check, fail, type Finding, ok, unknown, warn, type Facts, type ServerFacts } from './facts.js';

const MIB = 1_048_576;
const NOT_TOLD = 'Redis does not tell';

/** A check of each server; the worst finding counts. */
function ofEach(find: (server: ServerFacts, facts: Facts) => Finding): (facts: Facts) => Finding {
  return (facts) => {
    const findings = facts.servers?.map((server) => find(server, facts)) ?? [];
    const worst = (['fail', 'warn', 'unknown'] as const).map((wanted) =>
      findings.find(({ status }) => status === wanted),
    );
    return worst.find((finding) => finding !== undefined) ?? findings[0] ?? unknown(NOT_TOLD);
  };
}

function numberIn({ info }: ServerFacts, name: string): number {
  return Number(info.get(name) ?? 0);
}

/** The checks of Redis itself. */
export const SERVER_CHECKS: readonly Check[] = [
  {
    id: 'latency',
    about: 'an answer of Redis takes a small part of the deadline',
    find: ({ pingsMs, config: { deadlineMs } }) => {
      const medianMs = pingsMs[Math.floor(pingsMs.length / 2)] ?? 0;
      const found = `${medianMs.toFixed(2)} ms, deadline ${deadlineMs} ms`;
      if (medianMs > deadlineMs / 3) {
        return fail(
          found,
          'Calls go on without Redis after the deadline: use a Redis that is nearer, or raise CACHE_DEADLINE_MS.',
        );
      }
      return medianMs > 5
        ? warn(
            found,
            'Each read of Redis takes this long: raise CACHE_MAX_MEMORY_MB, so that memory answers more, or use a nearer Redis.',
          )
        : ok(found);
    },
  },
  {
    id: 'version',
    about: 'the server can report changes of keys: Redis 6 or later',
    find: ofEach(({ info }) => {
      const version = info.get('redis_version') ?? '';
      return Number.parseInt(version, 10) >= 6
        ? ok(`${info.get('server_name') ?? 'redis'} ${info.get('valkey_version') ?? version}`)
        : fail(version, 'Processes only learn of changes that other processes announce: use Redis 6 or later.');
    }),
  },
  {
    id: 'tls',
    about: 'the certificate of Redis is verified; no password crosses a network in the clear',
    find: ({ config: { redis }, env }) => {
      if (redis.kind !== 'single') {
        return env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0' ? unverified() : ok(redis.kind);
      }
      const { tls, host = 'localhost', password } = redis.connection;
      if (tls !== undefined && tls !== false) {
        return env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0' ? unverified() : ok('verified');
      }
      const isLocal = /^(localhost|127\.|::1$|\/)/.test(host);
      return isLocal || password === undefined || password === ''
        ? ok(isLocal ? 'on this machine' : 'no TLS, no password')
        : warn('the password is sent without TLS', 'Use rediss:// or REDIS_SSL=true, unless the network is your own.');
    },
  },
  {
    id: 'permissions',
    about: 'the Redis user has the rights that the cache needs',
    find: ({ refusals, health }) => {
      const refused = refusals
        .filter(({ reply }) => reply === 'NOPERM' || reply === 'ERR')
        .map(({ command }) => command);
      if (refused.length > 0) {
        return fail(
          `refused: ${refused.join(', ')}`,
          'Grant the rights of docs/guarantees.md, "Permissions in Redis".',
        );
      }
      return health.redis?.invalidation === 'none'
        ? fail(
            health.message ?? '',
            'Grant &<prefix>:* &__redis__:invalidate +client|id +client|tracking +subscribe +publish.',
          )
        : ok('as needed');
    },
  },
  {
    id: 'writes',
    about: 'Redis accepts writes',
    find: ({ refusals }) => {
      const refused = refusals.find(({ reply }) => reply !== 'NOPERM' && reply !== 'ERR');
      return refused === undefined
        ? ok('accepted')
        : fail(
            `${refused.command} is refused: ${refused.reply}`,
            'OOM: more memory or another policy. READONLY: this is a replica. MISCONF: the disk.',
          );
    },
  },
  {
    id: 'memory',
    about: 'Redis has a memory limit, and evicts instead of refusing writes',
    find: ofEach((server) => {
      const policy = server.settings?.get('maxmemory-policy') ?? server.info.get('maxmemory_policy');
      const [limit, used] = [numberIn(server, 'maxmemory'), numberIn(server, 'used_memory')];
      const found = `${bytesText(used)} of ${limit === 0 ? 'no limit' : bytesText(limit)}, ${policy ?? 'policy unknown'}`;
      if (limit === 0) {
        return warn(
          found,
          'Set maxmemory, and maxmemory-policy to volatile-lru or allkeys-lfu: otherwise Redis grows until the system ends it.',
        );
      }
      if (policy === 'noeviction') {
        return used > 0.8 * limit
          ? fail(
              found,
              'Soon every write is refused (OOM): set maxmemory-policy to volatile-lru or allkeys-lfu, or raise maxmemory.',
            )
          : warn(
              found,
              'When it is full, every write is refused (OOM): set maxmemory-policy to volatile-lru or allkeys-lfu.',
            );
      }
      return policy?.endsWith('-random') === true
        ? warn(found, 'Entries in use are evicted like any other: use volatile-lru or allkeys-lfu.')
        : ok(found);
    }),
  },
  {
    id: 'output-buffer',
    about: 'a burst of invalidations does not cut off the processes that listen',
    find: ofEach(({ settings }) => {
      const limits = settings?.get('client-output-buffer-limit');
      const [, hard, soft] = /pubsub (\d+) (\d+)/.exec(limits ?? '') ?? [];
      if (hard === undefined || soft === undefined) {
        return unknown(NOT_TOLD);
      }
      const found = `hard limit ${hard === '0' ? 'none' : bytesText(Number(hard))}, soft ${soft === '0' ? 'none' : bytesText(Number(soft))}`;
      const isSmall = [hard, soft].some((limit) => limit !== '0' && Number(limit) < MIB);
      return isSmall
        ? fail(
            found,
            'Each process that is cut off drops its memory: set client-output-buffer-limit "pubsub 32mb 8mb 60".',
          )
        : ok(found);
    }),
  },
  {
    id: 'replicas',
    about: 'with `strict`, each master has a replica to wait for',
    find: ofEach((server, { isStrict }) => {
      const replicas = numberIn(server, 'connected_slaves');
      if (!isStrict) {
        return ok(`${replicas}, strict is off`);
      }
      return replicas > 0
        ? ok(String(replicas))
        : fail('none', 'No change can be acknowledged: add a replica, or switch `strict` off.');
    }),
  },
  {
    id: 'topology',
    about: 'the address leads to a master, and a Cluster is configured as one',
    find: ofEach((server, { config }) => {
      const role = server.info.get('role');
      const isNode = server.info.get('cluster_enabled') === '1';
      if (isNode && config.redis.kind !== 'cluster' && config.redis.kind !== 'client') {
        return fail(
          'a node of a Cluster, used as a single server',
          'Set REDIS_CLUSTER_NODES: the keys of the other nodes are not cached.',
        );
      }
      if (isNode && server.clusterInfo?.get('cluster_state') === 'fail') {
        return fail(
          'the Cluster is not complete',
          'Look at CLUSTER NODES: a master is down without a replica in its place.',
        );
      }
      return role === 'master'
        ? ok(isNode ? 'master of a Cluster' : 'master')
        : fail(String(role), 'A replica refuses writes: use the address of the master.');
    }),
  },
  {
    id: 'slots',
    about: 'all slots of a Cluster have a master',
    find: ofEach(({ info, clusterInfo }) => {
      if (info.get('cluster_enabled') !== '1') {
        return ok('no Cluster');
      }
      const assigned = clusterInfo?.get('cluster_slots_assigned');
      if (assigned === undefined) {
        return unknown(NOT_TOLD);
      }
      return assigned === '16384'
        ? ok('16384 of 16384')
        : fail(`${assigned} of 16384`, 'The keys of the other slots are not cached: redis-cli --cluster fix.');
    }),
  },
  {
    id: 'listeners',
    about: 'the invalidation messages take a small part of a core of Redis',
    find: ofEach((server) => {
      const listeners = numberIn(server, 'tracking_clients');
      const perSecond = writesPerSecond(server);
      const percent = (listeners * perSecond * MICROSECONDS_PER_MESSAGE) / 10_000;
      const found = `${listeners} listeners, ${perSecond.toFixed(1)} writes/s: about ${percent.toFixed(1)} % of a core`;
      if (percent > 50) {
        return fail(found, 'Fewer processes, fewer writes, or one Redis for each group of namespaces.');
      }
      return listeners > 64 || percent > 20
        ? warn(found, 'Each write costs about 2 microseconds for each listener.')
        : ok(found);
    }),
  },
  {
    id: 'clock',
    about: 'the clocks of Redis and of this machine agree, so that times in logs can be compared',
    find: ({ clockAheadMs }) => {
      if (clockAheadMs === undefined) {
        return unknown(NOT_TOLD);
      }
      const found = `Redis is ${(Math.abs(clockAheadMs) / 1000).toFixed(1)} s ${clockAheadMs < 0 ? 'behind' : 'ahead'}`;
      return Math.abs(clockAheadMs) > 5000
        ? warn(found, 'The cache allows for it, but run NTP: logs can not be compared.')
        : ok(found);
    },
  },
];

const MICROSECONDS_PER_MESSAGE = 2;
const WRITES = ['set', 'del', 'unlink', 'rename', 'pexpire', 'eval', 'evalsha'];

/** The mean number of writes per second since the server started, of all clients. */
function writesPerSecond(server: ServerFacts): number {
  const calls = WRITES.map((name) => Number(/calls=(\d+)/.exec(server.info.get(`cmdstat_${name}`) ?? '')?.[1] ?? 0));
  return calls.reduce((sum, each) => sum + each, 0) / Math.max(1, numberIn(server, 'uptime_in_seconds'));
}

function unverified(): Finding {
  return fail(
    'the certificate is not verified',
    'Remove NODE_TLS_REJECT_UNAUTHORIZED=0, and pass the certificate of the authority (`tls.ca`).',
  );
}
