export type { ConnectionSettings } from './client-options.js';
export type { RedisTarget } from './open-client.js';
export { isRedisClient, type RedisClient } from './redis-client.js';
export {
  RedisConnection,
  type ConnectionState,
  type RedisConnectionLimits,
  type RedisConnectionListener,
} from './redis-connection.js';
export { RedisTier, type EntryToStore, type RedisEntry, type TakenLease } from './redis-tier.js';
export { InvalidationGroup, type InvalidationState } from './invalidation-group.js';
export type { InvalidationLimits, InvalidationListener } from './invalidation-channel.js';
export { replayInvalidations, type EntryKeys, type PendingInvalidations } from './entry-writes.js';
