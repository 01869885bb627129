import { redisStore } from 'cache-manager-ioredis-yet';
import type { RedisClient } from './redis-client.js';
import { clusterClientOptions, singleClientOptions, type ConnectionSettings } from './client-options.js';

/** Where Redis is: something to connect to, or a client that the application already has. */
export type RedisTarget =
  | { readonly kind: 'single'; readonly connection: ConnectionSettings }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly { readonly host: string; readonly port: number }[];
      readonly connection: ConnectionSettings;
    }
  | { readonly kind: 'client'; readonly client: RedisClient };

/**
 * Opens the client of a cache-manager-ioredis-yet store and takes only that: the store's own `get` and `set` revive code
 * from cached text (telejson), `reset` is FLUSHDB and `keys` is KEYS, so none of them is ever called. The client
 * connects when told to, not here.
 */
export async function openClient(target: RedisTarget, commandTimeoutMs: number): Promise<RedisClient> {
  switch (target.kind) {
    case 'client':
      return target.client;
    case 'single':
      return (await redisStore(singleClientOptions(target.connection, commandTimeoutMs))).client;
    case 'cluster': {
      const nodes = target.nodes.map(({ host, port }) => ({ host, port }));
      const options = clusterClientOptions(target.connection, commandTimeoutMs);
      return (await redisStore({ clusterConfig: { nodes, options } })).client;
    }
  }
}
