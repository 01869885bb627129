import type { KeyUses } from '../local/index.js';
import { refusable, RefusedReply, type RedisClient, type RedisConnection } from '../redis/index.js';

/** A list of hot keys is decayed once in this time by one process, in milliseconds. */
export const DECAY_EVERY_MS = 60_000;
/** What remains of a score after {@link DECAY_EVERY_MS}. */
const REMAINS = 0.5;
/** The list of a namespace that is not used any more ends after this time, in milliseconds. */
const LIST_LIFE_MS = 7 * 24 * 3_600_000;
/** The number of commands that are sent together. */
const COMMANDS_AT_ONCE = 250;

/** A hot key, in the form that the tiers use. Its score is its uses, those of earlier minutes at a part of their number. */
export interface HotKey {
  readonly key: string;
  readonly score: number;
}

/**
 * The hot keys of each namespace: a sorted set in Redis with the uses of L1 of all processes, of which the last minutes
 * count most.
 *
 * Each process adds its uses since its last record (`ZINCRBY`), and the first one in each minute, which takes a lease of
 * that length, halves all scores (`ZUNIONSTORE` with the weight 0.5). Every step is one command that changes the scores
 * relative to what they are. So the order and the number of the processes do not matter, none overwrites what another has
 * added, and a process that dies leaves nothing half done. A list that a process reads, merges and writes back would lose
 * what the others add in between.
 *
 * The keys of the lists are auxiliary keys (`prefix:{#hot:namespace}`), so the ACL pattern `~prefix:*` covers them, and a
 * message about their change concerns no process.
 */
export class HotKeys {
  /** Why Redis refuses a command on the lists, such as `ZINCRBY NOPERM`; `undefined` if it does not, as far as known. */
  refusal: string | undefined;

  /** @param prefix the prefix of all keys, colon included */
  constructor(
    private readonly prefix: string,
    private readonly connection: RedisConnection,
    private readonly mostKeys: number,
    private readonly onRefused: (command: string, reply: string) => void,
  ) {}

  /**
   * Adds uses.
   * @param isRestored whether they were in a list that is gone: nothing in the new one is older than they are
   * @throws as `RedisConnection.run`, except for a refusal
   */
  async add(namespace: string, used: readonly KeyUses[], isRestored = false): Promise<void> {
    const list = this.listKeyOf(namespace);
    if ((await this.takeDecay(list)) && !isRestored) {
      await this.run('ZUNIONSTORE', list, (client) => client.zunionstore(list, 1, list, 'WEIGHTS', REMAINS));
    }
    for (let from = 0; from < used.length; from += COMMANDS_AT_ONCE) {
      const part = used.slice(from, from + COMMANDS_AT_ONCE);
      const added = await this.run('ZINCRBY', list, (client) =>
        Promise.all(part.map(({ key, uses }) => client.zincrby(list, uses, key))),
      );
      if (added === undefined) {
        return;
      }
    }
    await this.run('ZREMRANGEBYRANK', list, (client) => client.zremrangebyrank(list, 0, -this.mostKeys - 1));
    await this.run('PEXPIRE', list, (client) => client.pexpire(list, LIST_LIFE_MS));
  }

  /** The hottest keys of a namespace, in descending order; none while Redis refuses to tell. @throws as {@link add} */
  async hottest(namespace: string, count: number): Promise<HotKey[]> {
    const list = this.listKeyOf(namespace);
    const pairs =
      (await this.run('ZREVRANGE', list, (client) => client.zrevrange(list, 0, count - 1, 'WITHSCORES'))) ?? [];
    const keys = pairs.filter((_, index) => index % 2 === 0);
    return keys.map((key, index) => ({ key, score: Number(pairs[2 * index + 1]) }));
  }

  /** Whether this process is the first one in this minute. */
  private async takeDecay(list: string): Promise<boolean> {
    const lease = `${list}:decayed`;
    const taken = await this.run('SET', list, (client) => client.set(lease, '1', 'PX', DECAY_EVERY_MS, 'NX'));
    return taken === 'OK';
  }

  private listKeyOf(namespace: string): string {
    return `${this.prefix}{#hot:${namespace}}`;
  }

  /** Runs commands on a list. @returns `undefined` if Redis refuses them, which is reported once */
  private async run<Reply>(
    command: string,
    list: string,
    send: (client: RedisClient) => Promise<Reply>,
  ): Promise<Reply | undefined> {
    const reply = await this.connection.run('OPERATION', (client) => refusable(send(client)), list);
    if (!(reply instanceof RefusedReply)) {
      if (this.refusal?.startsWith(`${command} `) === true) {
        this.refusal = undefined;
      }
      return reply;
    }
    if (this.refusal === undefined) {
      this.refusal = `${command} ${reply.reason}`;
      this.onRefused(command, reply.reason);
    }
    return undefined;
  }
}
