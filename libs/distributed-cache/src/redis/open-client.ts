import { redisStore } from 'cache-manager-ioredis-yet';
import type { Cluster, Redis } from 'ioredis';
import { isCluster, type RedisClient } from './redis-client.js';
import {
  clusterClientOptions,
  clusterOptionsLike,
  singleClientOptions,
  singleOptionsLike,
  type ConnectionSettings,
} from './client-options.js';
import { followCredentials, withClusterCredentials, withCredentials } from './credentials.js';

/** The Redis to use: the settings of a connection, or a client that the application already has. */
export type RedisTarget =
  | { readonly kind: 'single'; readonly connection: ConnectionSettings }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly { readonly host: string; readonly port: number }[];
      readonly connection: ConnectionSettings;
    }
  | { readonly kind: 'client'; readonly client: RedisClient };

/**
 * Opens the client of a cache-manager-ioredis-yet store and uses nothing else of the store. The store's own `get` and
 * `set` revive code from cached text (telejson), `reset` is FLUSHDB and `keys` is KEYS, so none of them is ever called.
 * The client is not connected here.
 */
export async function openClient(target: RedisTarget, commandTimeoutMs: number): Promise<RedisClient> {
  switch (target.kind) {
    case 'client':
      return duplicateOf(target.client, commandTimeoutMs);
    case 'single':
      return withCredentials(
        (await redisStore(singleClientOptions(target.connection, commandTimeoutMs))).client as Redis,
        target.connection.credentials,
        commandTimeoutMs,
      );
    case 'cluster': {
      const nodes = target.nodes.map(({ host, port }) => ({ host, port }));
      const options = clusterClientOptions(target.connection, commandTimeoutMs);
      const { client } = await redisStore({ clusterConfig: { nodes, options } });
      return withClusterCredentials(client as Cluster, target.connection.credentials, commandTimeoutMs);
    }
  }
}

/**
 * Makes a second client for the same servers. The one that was handed in is never used: its `MULTI` would include
 * commands of the cache, a blocking command would delay them, and an `EXEC` of the cache would end its `WATCH`.
 */
function duplicateOf(client: RedisClient, commandTimeoutMs: number): RedisClient {
  if (isCluster(client)) {
    return client.duplicate([], clusterOptionsLike(client.options, commandTimeoutMs));
  }
  const duplicate = client.duplicate(singleOptionsLike(client.options, commandTimeoutMs));
  followCredentials(duplicate.options, () => client.options);
  return duplicate;
}
