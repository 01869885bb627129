import { redisTarget } from '../core/connect-redis.js';
import { CacheConfig, type RedisOption } from '../config/index.js';
import { RedisConnection } from '../redis/index.js';
import { WakeUp } from './publisher.js';
import {
  decodeBatch,
  encodeBatch,
  type RelayBatch,
  type RelayLink,
  type RelaySite,
  type RelayTransport,
} from './transport.js';

/** The options of {@link redisStreams}. */
export interface RedisStreamsOptions {
  /** The Redis of the other region, in the form of the cache's own option `redis`. */
  readonly redis: Exclude<RedisOption, false>;
  /** First part of every key in that Redis. Default: as in this region. */
  readonly keyPrefix?: string;
}

/** The other region is far away: an answer takes longer than one of the Redis next door. */
const ANSWER_MS = 2000;
const COMMAND_MS = 5000;
/** Where no message says that there is a new line. */
const POLL_MS = 200;
const LINES_PER_READ = 50;
/** Number of batches, of 160 KB at most, that wait in a region whose relay does not receive. */
const STREAM_LENGTH = 10_000;

/**
 * A link to one other region by its Redis: batches are added to a stream there (`<prefix>:{#relay}:from:<this region>`), and
 * the stream `<prefix>:{#relay}:from:<link>` of this region's own Redis is received. So the link must have the name of
 * the other region. It opens one connection, in the process that leads the relay. The user needs `+xadd` on that key.
 * @throws ConfigurationError for a wrong address
 */
export function redisStreams({ redis, keyPrefix }: RedisStreamsOptions): RelayLink {
  const target = redisTarget(CacheConfig.resolve({ redis }, {}).redis);
  if (target === undefined) {
    throw new TypeError('redisStreams: the option redis is false. Give the Redis of the other region');
  }
  return (site) => {
    const limits = {
      deadlineMs: ANSWER_MS,
      commandTimeoutMs: COMMAND_MS,
      heartbeatMs: ANSWER_MS,
      nowMs: () => performance.now(),
    };
    const connection = new RedisConnection(target, limits, { onLive: () => {}, onDown: () => {} });
    return new RedisStreams(site, connection, `${keyPrefix ?? site.keyPrefix}:{#relay}:from:${site.region}`);
  };
}

class RedisStreams implements RelayTransport {
  private readonly inboxKey: string;

  constructor(
    private readonly site: RelaySite,
    private readonly connection: RedisConnection,
    private readonly outKey: string,
  ) {
    this.inboxKey = `${site.keyPrefix}:{#relay}:from:${site.link}`;
  }

  async publish(batch: RelayBatch): Promise<void> {
    const { connection, outKey } = this;
    const text = encodeBatch(batch);
    await connection.run(
      'RELAY',
      (client) => client.xadd(outKey, 'MAXLEN', '~', STREAM_LENGTH, '*', 'batch', text),
      outKey,
    );
  }

  /** A line is removed once it is applied, so the oldest line is always the next one. */
  async subscribe(onBatch: (batch: RelayBatch) => Promise<void>): Promise<void> {
    const { inboxKey, site } = this;
    const { connection } = site.redis;
    const wakeUp = new WakeUp(site);
    try {
      while (!site.signal.aborted) {
        const lines = await connection.run(
          'RELAY',
          (client) => client.xrange(inboxKey, '-', '+', 'COUNT', LINES_PER_READ),
          inboxKey,
        );
        for (const [id, [, text = '']] of lines) {
          const batch = decodeBatch(text);
          if (batch !== undefined) {
            await onBatch(batch);
          }
          await connection.run('RELAY', (client) => client.xdel(inboxKey, id), inboxKey);
        }
        if (lines.length === 0) {
          await wakeUp.wait(POLL_MS);
        }
      }
    } finally {
      wakeUp.end();
    }
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}
