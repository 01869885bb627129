/**
 * Relay of invalidations between regions that have a Redis of their own each.
 *
 * @module nestjs-distributed-cache/relay
 */

export { natsJetStream, type NatsJetStreamOptions } from './nats-jetstream.js';
export { redisStreams, type RedisStreamsOptions } from './redis-streams.js';
export { type Relay, type RelayOptions, startRelay } from './relay.js';
export {
  decodeBatch,
  encodeBatch,
  type RelayBatch,
  type RelayLink,
  type RelaySite,
  type RelayTransport,
} from './transport.js';
