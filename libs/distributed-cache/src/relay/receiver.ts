import { newStamp, INVALIDATED_MS } from '../core/stamps.js';
import type { CacheEvents } from '../events/index.js';
import { CLEAR, entryKeysOf } from '../keys/index.js';
import type { RedisClient } from '../redis/index.js';
import { decodeBatch, encodeBatch, comparePositions, kindOf, type RelayBatch, type RelaySite } from './transport.js';

/** Number of keys that are deleted at once: one round trip with a deadline of its own. */
const KEYS_AT_ONCE = 250;

/**
 * Applies the batches of other regions in this region: deletes the keys, and puts new stamps in the place of those of tags
 * and namespaces. That goes to Redis as a change by this process does, except that it is not put into the outbox, and
 * Redis tells all processes. To apply a batch twice, or late, costs one more load.
 *
 * Redis also keeps the position up to which each region's batches are applied. A batch that does not begin there, or
 * earlier, shows that others were lost; so does a missing position. Then every namespace of this region is cleared. When a
 * failover in this region undoes the last deletions, it undoes the position as well, and the next batch clears.
 */
export class Receiver {
  constructor(
    private readonly site: Pick<RelaySite, 'redis' | 'keyPrefix' | 'region'>,
    private readonly events: CacheEvents,
    /** See `RelayOptions.holdOff`, in milliseconds. */
    private readonly holdOffMs: number,
  ) {}

  /** Applies a batch. @throws the tier's errors; the batch is then to be applied again */
  async apply(batch: RelayBatch): Promise<void> {
    const { redis, region } = this.site;
    if (batch.region === region) {
      return;
    }
    const seen = await this.run((client) => client.hget(this.seenKey, batch.region));
    // remedy: gap-clears
    const isGap = isAfterGap(batch, seen);
    const namespaces = isGap ? await redis.outbox?.namespaces() : [];
    const changes = [...new Set([...batch.changes, ...(namespaces ?? []).map((name) => `${name}:${CLEAR}`)])];
    if (changes.length > 0) {
      await this.invalidate(changes);
      await this.postpone({ ...batch, changes: changes.filter((change) => kindOf(change) !== 'key') });
    }
    const position = isGap || seen === null || comparePositions(batch.last, seen) > 0 ? batch.last : seen;
    if (position !== seen) {
      await this.run((client) => client.hset(this.seenKey, batch.region, position));
    }
    if (isGap) {
      this.events.emit('relayGap', { region: batch.region, namespaces: namespaces?.length ?? 0 });
    } else if (batch.changes.length > 0) {
      const lagMs = Math.max(0, redis.connection.serverNowMs(this.seenKey) - batch.atMs);
      this.events.emit('relayApplied', { region: batch.region, changes: batch.changes.length, lagMs });
    }
  }

  /** Applies tags and clears once more whose hold-off has ended. @throws the tier's errors */
  async applyDue(): Promise<void> {
    if (this.holdOffMs === 0) {
      return;
    }
    const lines = await this.run((client) => client.xrange(this.postponedKey, '-', '+', 'COUNT', 100));
    const nowMs = this.site.redis.connection.serverNowMs(this.postponedKey);
    for (const [id, [, text = '']] of lines) {
      if (Number.parseInt(id, 10) + this.holdOffMs > nowMs) {
        return;
      }
      await this.invalidate(decodeBatch(text)?.changes ?? []);
      await this.run((client) => client.xdel(this.postponedKey, id));
    }
  }

  private get seenKey(): string {
    return `${this.site.keyPrefix}:{#relay}:seen`;
  }

  private get postponedKey(): string {
    return `${this.site.keyPrefix}:{#relay}:postponed`;
  }

  private run<Result>(send: (client: RedisClient) => Promise<Result>): Promise<Result> {
    return this.site.redis.connection.run('RELAY', send, this.seenKey);
  }

  /**
   * A hold-off refuses the fills of one key. Tags and namespaces have nothing like it, so they are invalidated once more
   * when it has ended; until then they are kept in Redis, for another process that leads by then.
   */
  private async postpone(batch: RelayBatch): Promise<void> {
    if (this.holdOffMs > 0 && batch.changes.length > 0) {
      await this.run((client) => client.xadd(this.postponedKey, '*', 'batch', encodeBatch(batch)));
    }
  }

  private async invalidate(changes: readonly string[]): Promise<void> {
    const { redis, keyPrefix } = this.site;
    const { relayedTier: tier, stamps } = redis;
    const holdOffMs = this.holdOffMs === 0 ? undefined : this.holdOffMs;
    const named = changes.map((change) => ({ key: `${keyPrefix}:${change}`, kind: kindOf(change) }));
    const groups = tier.groups(
      named.filter(({ kind }) => kind === 'key').map(({ key }) => entryKeysOf(key)),
      ({ valueKey }) => valueKey,
    );
    for (const group of groups) {
      for (let from = 0; from < group.length; from += KEYS_AT_ONCE) {
        await tier.delete(group.slice(from, from + KEYS_AT_ONCE), holdOffMs);
      }
    }
    await Promise.all(
      named
        .filter(({ kind }) => kind !== 'key')
        .map(({ key, kind }) =>
          tier.replaceStamp(key, newStamp(stamps.latestServerNowMs(key)), kind === 'tag' ? INVALIDATED_MS : undefined),
        ),
    );
    // remedy: relayed-is-told-here
    redis.onRelayed(named.map(({ key }) => key));
  }
}

/** Whether batches before this one may have been lost. @param seen the position up to which all are applied */
function isAfterGap({ after, last }: RelayBatch, seen: string | null): boolean {
  // A batch without `after` that ends where this region is already has arrived twice.
  return last !== seen && (after === undefined || seen === null || comparePositions(after, seen) > 0);
}
