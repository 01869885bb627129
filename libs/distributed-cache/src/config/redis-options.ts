import { DEFAULTS } from './defaults.js';
import type { EnvironmentReader } from './environment-reader.js';
import { isRecord, OptionReader } from './option-reader.js';
import { CLUSTER_OPTIONS, REDIS_OPTIONS } from './option-table.js';
import type {
  DistributedCacheOptions,
  RedisClientOption,
  RedisClusterOptions,
  RedisStoreOption,
  ResolvedRedis,
} from './options.js';
import { maskAddress } from './problem-list.js';
import { ADDRESS_VARIABLES, redisFromEnvironment } from './redis-environment.js';
import {
  type ConnectionReader,
  fromConnection,
  readCommon,
  readHosts,
  readTls,
  refuseSentinelOptions,
} from './redis-connection.js';
import { checkClient, checkClusterOptions } from './client-option-rules.js';
import { clientOf, clusterOf, NO_REDIS } from './resolved-redis.js';

const CLIENT_RULE = 'an ioredis 5 or 6 client';
const NOT_FOR_CLUSTER: ReadonlySet<string> = new Set(['url', 'host', 'port', 'path', 'db', 'sentinels', 'name']);
const ADDRESS_OPTIONS = ['url', 'host', 'port', 'path', 'sentinels'] as const;

/**
 * Resolves the option `redis`. It is taken as a whole: if it were mixed with the environment, a host in code could be
 * sent the password that is meant for another one. Without it the `REDIS_*` variables are used.
 */
export function resolveRedis(
  options: OptionReader<DistributedCacheOptions>,
  environment: EnvironmentReader,
): ResolvedRedis {
  const given = options.value('redis');
  if (given === undefined) {
    return redisFromEnvironment(environment);
  }
  if (given === false) {
    return NO_REDIS;
  }
  const { problems } = options;
  if (!isRecord(given) || isRedisClient(given)) {
    const isClient = isRecord(given);
    options.refuse(
      'redis',
      'false, or an object with connection options, cluster, client or store',
      isClient ? 'a client (write { client })' : maskAddress(given),
    );
    return NO_REDIS;
  }
  if ('client' in given) {
    return fromClient(new OptionReader<RedisClientOption>(given, 'redis.', ['client'], problems));
  }
  if ('store' in given) {
    return fromStore(new OptionReader<RedisStoreOption>(given, 'redis.', ['store'], problems));
  }
  if ('cluster' in given) {
    return fromCluster(new OptionReader<RedisClusterOptions>(given, 'redis.', ['cluster'], problems));
  }
  const reader: ConnectionReader = new OptionReader(given, 'redis.', Object.keys(REDIS_OPTIONS), problems);
  refuseMissingAddress(reader, environment);
  return fromConnection(reader);
}

function fromClient(reader: OptionReader<RedisClientOption>): ResolvedRedis {
  const client = reader.value('client');
  if (!isRedisClient(client)) {
    reader.refuse('client', CLIENT_RULE);
    return NO_REDIS;
  }
  checkClient(reader.problems, 'redis.client', client);
  return clientOf(client);
}

function fromStore(reader: OptionReader<RedisStoreOption>): ResolvedRedis {
  const store = reader.value('store');
  const client = isRecord(store) ? store['client'] : undefined;
  if (!isRedisClient(client)) {
    reader.refuse('store', `a cache-manager-ioredis-yet store, whose client is ${CLIENT_RULE}`);
    return NO_REDIS;
  }
  checkClient(reader.problems, 'redis.store', client);
  return clientOf(client);
}

function fromCluster(root: OptionReader<RedisClusterOptions>): ResolvedRedis {
  const given = root.value('cluster');
  if (!isRecord(given)) {
    root.refuse('cluster', 'an object with nodes and options');
    return NO_REDIS;
  }
  const reader = root.level('cluster', CLUSTER_OPTIONS);
  const nodes = readHosts(reader.problems, `${reader.path}nodes`, reader.value('nodes'));
  const options = reader.value('options');
  if (options !== undefined && !isRecord(options)) {
    reader.refuse('options', 'an object');
  }
  const names = Object.keys(REDIS_OPTIONS).filter((name) => !NOT_FOR_CLUSTER.has(name));
  const connection: ConnectionReader = new OptionReader(
    isRecord(options) ? options : {},
    `${reader.path}options.`,
    names,
    reader.problems,
  );
  refuseSentinelOptions(connection);
  checkClusterOptions(reader.problems, `${connection.path}clientOptions.`, connection.value('clientOptions'));
  return clusterOf(nodes, { ...readCommon(connection), tls: readTls(connection, 'tls') ?? DEFAULTS.tls });
}

/**
 * Refuses connection options without an address while a variable gives one: alone they would mean localhost, although
 * the variable names another server.
 */
function refuseMissingAddress(reader: ConnectionReader, environment: EnvironmentReader): void {
  const variable = ADDRESS_VARIABLES.find((name) => environment.has(name));
  if (variable !== undefined && !ADDRESS_OPTIONS.some((name) => reader.has(name))) {
    reader.problems.add(
      'redis',
      'options without an address',
      `one of ${ADDRESS_OPTIONS.join(', ')} as well: ${variable} is set, but not used once the code gives redis`,
    );
  }
}

/** Whether a value is a Redis client, by its shape: `instanceof` fails between two copies of ioredis. */
function isRedisClient(value: unknown): value is object {
  if (!isRecord(value)) {
    return false;
  }
  const { status, on, set, getBuffer } = value;
  return typeof status === 'string' && [on, set, getBuffer].every((method) => typeof method === 'function');
}
