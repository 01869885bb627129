import { DEFAULTS } from './defaults.js';
import type { EnvironmentReader } from './environment-reader.js';
import type { EnvironmentVariableName } from './environment-variables.js';
import { HOST_LIST_RULE, HOST_RULE, isHost, parseHosts, showHost, withoutBrackets } from './hosts.js';
import { LIMITS } from './limits.js';
import type { HostAndPort, ResolvedRedis } from './options.js';
import { maskAddress } from './problem-list.js';
import { clusterOf, NO_REDIS, singleOf } from './resolved-redis.js';
import { parseRedisUrl } from './redis-url.js';

/** The variables that give the address of Redis, instead of the default. */
export const ADDRESS_VARIABLES = ['REDIS_URL', 'REDIS_CLUSTER_NODES', 'REDIS_SENTINELS', 'REDIS_HOST'] as const;

/**
 * The Redis that the `REDIS_*` variables describe. Only variables that apply are read, and so checked: beside
 * `REDIS_URL` none of the others, beside Sentinels and Cluster nodes neither `REDIS_HOST` nor `REDIS_PORT`.
 */
export function redisFromEnvironment(environment: EnvironmentReader): ResolvedRedis {
  const [first, ...others] = ADDRESS_VARIABLES.filter((name) => name !== 'REDIS_HOST' && environment.has(name));
  for (const name of others) {
    environment.refuse(name, `nothing while ${first} is set`, maskAddress(environment.raw(name)));
  }
  switch (first) {
    case 'REDIS_URL':
      return fromUrl(environment);
    case 'REDIS_CLUSTER_NODES':
      return fromClusterNodes(environment);
    case 'REDIS_SENTINELS':
      return fromSentinels(environment);
    default:
      return fromHost(environment);
  }
}

function fromUrl(environment: EnvironmentReader): ResolvedRedis {
  const text = environment.raw('REDIS_URL') ?? '';
  const parsed = parseRedisUrl(text);
  if (!parsed.ok) {
    environment.refuse('REDIS_URL', parsed.allowed, maskAddress(text));
    return NO_REDIS;
  }
  const { host, port = DEFAULTS.port, db = DEFAULTS.db, username, password, tls, family } = parsed.address;
  return singleOf({ host, port, db, username, password, tls, family });
}

function fromClusterNodes(environment: EnvironmentReader): ResolvedRedis {
  const nodes = readHosts(environment, 'REDIS_CLUSTER_NODES');
  const db = environment.integer('REDIS_DB', LIMITS.db) ?? DEFAULTS.db;
  if (db !== 0) {
    environment.refuse('REDIS_DB', '0 with REDIS_CLUSTER_NODES: Redis Cluster has no other database');
  }
  return clusterOf(nodes, readCredentials(environment));
}

function fromSentinels(environment: EnvironmentReader): ResolvedRedis {
  const sentinels = readHosts(environment, 'REDIS_SENTINELS');
  const name = environment.raw('REDIS_SENTINEL_NAME');
  if (name === undefined) {
    environment.refuse('REDIS_SENTINEL_NAME', "the master's name in the Sentinels' configuration", 'nothing');
  }
  const db = environment.integer('REDIS_DB', LIMITS.db) ?? DEFAULTS.db;
  const { username, password, tls } = readCredentials(environment);
  return singleOf({ sentinels, name, db, username, password, tls, sentinelTls: tls });
}

function fromHost(environment: EnvironmentReader): ResolvedRedis {
  const host = withoutBrackets(environment.raw('REDIS_HOST') ?? DEFAULTS.host);
  if (!isHost(host)) {
    environment.refuse('REDIS_HOST', HOST_RULE, showHost(host));
  }
  const port = environment.integer('REDIS_PORT', LIMITS.port) ?? DEFAULTS.port;
  const db = environment.integer('REDIS_DB', LIMITS.db) ?? DEFAULTS.db;
  const { username, password, tls } = readCredentials(environment);
  return singleOf({ host, port, db, username, password, tls });
}

function readCredentials(environment: EnvironmentReader): { username?: string; password?: string; tls: boolean } {
  return {
    username: environment.raw('REDIS_USERNAME'),
    password: environment.secret('REDIS_PASSWORD'),
    tls: environment.boolean('REDIS_SSL') ?? DEFAULTS.tls,
  };
}

function readHosts(environment: EnvironmentReader, name: EnvironmentVariableName): readonly HostAndPort[] {
  const text = environment.raw(name) ?? '';
  return parseHosts(text) ?? environment.refuse(name, HOST_LIST_RULE, showHost(text)) ?? [];
}
