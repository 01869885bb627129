import { formatHost } from './hosts.js';
import type { HostAndPort, RedisConnectionOptions, ResolvedRedis } from './options.js';

/**
 * The options of one server, or of the servers behind Sentinels, without the URL, whose parts have been copied into
 * them.
 */
export type Connection = Omit<RedisConnectionOptions, 'url'>;

export const NO_REDIS: ResolvedRedis = Object.freeze({ kind: 'none' });

export function singleOf(connection: Connection): ResolvedRedis {
  return Object.freeze({ kind: 'single', connection: withoutUndefined(connection) });
}

export function clusterOf(nodes: readonly HostAndPort[], connection: Connection): ResolvedRedis {
  return Object.freeze({ kind: 'cluster', nodes: Object.freeze([...nodes]), connection: withoutUndefined(connection) });
}

export function clientOf(client: object): ResolvedRedis {
  return Object.freeze({ kind: 'client', client });
}

/** The address of Redis for logs, without user and password; `undefined` without Redis. */
export function describeRedis(redis: ResolvedRedis): string | undefined {
  switch (redis.kind) {
    case 'none':
      return undefined;
    case 'client':
      return "the application's own Redis client";
    case 'cluster':
      return `cluster ${scheme(redis.connection)}${redis.nodes.map(formatHost).join(',')}`;
    case 'single':
      return describeConnection(redis.connection);
  }
}

function describeConnection(connection: Connection): string {
  const { sentinels, name, path, host = '', port = 0, db = 0 } = connection;
  if (sentinels) {
    return `${scheme(connection)}${name}/${db} via sentinels ${sentinels.map(formatHost).join(',')}`;
  }
  return path === undefined
    ? `${scheme(connection)}${formatHost({ host, port })}/${db}`
    : `unix:${path}, database ${db}`;
}

function scheme({ tls = false }: Connection): string {
  return tls === false ? 'redis://' : 'rediss://';
}

/** Drops properties that are `undefined`: ioredis takes only an absent one for not given. */
function withoutUndefined(connection: Connection): Connection {
  return Object.freeze(Object.fromEntries(Object.entries(connection).filter(([, value]) => value !== undefined)));
}
