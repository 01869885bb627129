import type { ValueCodec } from '../codec/index.js';
import type { CacheConfig } from '../config/index.js';
import type { CacheEvents } from '../events/index.js';
import type { Clock, LocalCache } from '../local/index.js';
import type { RedisConnection, RedisTier } from '../redis/index.js';

/** What all namespaces of one cache share. */
export interface CacheRuntime {
  readonly config: CacheConfig;
  readonly events: CacheEvents;
  readonly clock: Clock;
  readonly codec: ValueCodec;
  /** Absent where L1 is switched off. */
  readonly local: LocalCache | undefined;
  /** Absent where no Redis is configured. */
  readonly redis: { readonly connection: RedisConnection; readonly tier: RedisTier } | undefined;
  /** Aborted when the cache closes. */
  readonly closing: AbortSignal;
}
