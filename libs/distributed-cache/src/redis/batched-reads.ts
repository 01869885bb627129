import { TierReplyError, TierUnavailableError } from '../errors/index.js';
import { isCluster, type RedisClient } from './redis-client.js';
import { ReplySize } from './reply-size.js';
import { QUEUE_LIMITS } from './send-queue.js';
import type { RedisConnection } from './redis-connection.js';
import { sendOnLine } from './wire-command.js';

/** Reads that are sent together, in one `MGET`. */
interface Batch {
  readonly valueKeys: string[];
  readonly answer: Promise<(Buffer | null)[]>;
  readonly send: () => void;
}

/** Maximum number of keys in one `MGET`: its reply arrives as a whole, so every value in it waits for the others. */
const MOST_KEYS = 64;
/** Maximum expected size of one reply, in bytes, for the same reason. */
const MOST_REPLY_BYTES = 1024 * 1024;
/** Maximum number of unanswered reads; the next is refused, as a command beyond that number is: each takes memory. */
const MOST_READS = QUEUE_LIMITS.maxQueued;

/**
 * Reads single values, and combines concurrent reads. A read on an idle connection is sent at once, as a `GET`. While
 * other commands are unanswered, the reads of one turn of the event loop are sent together, as an `MGET`: a hundred
 * callers cost the client a third of what a hundred commands cost it.
 */
export class BatchedReads {
  private batch: Batch | undefined;
  private unanswered = 0;
  private mayBatch = true;
  private readonly replySize = new ReplySize();

  constructor(private readonly connection: RedisConnection) {}

  /**
   * Reads one value; waits at most the connection's deadline.
   * @returns `null` when there is none
   * @throws as `RedisConnection.run`
   */
  get(valueKey: string): Promise<Buffer | null> {
    const { connection } = this;
    if (!connection.exchange.isBusy || connection.isCluster || !this.mayBatch) {
      return this.getAlone(valueKey);
    }
    if (this.unanswered >= MOST_READS) {
      return Promise.reject(new TierUnavailableError('GET', 'overloaded'));
    }
    this.unanswered++;
    const batch = (this.batch ??= this.openBatch());
    const place = batch.valueKeys.push(valueKey) - 1;
    if (place >= this.keysPerReply(MOST_KEYS) - 1) {
      batch.send();
    }
    return batch.answer.then((found) => found[place] ?? null);
  }

  /** How many values of the expected size one reply may hold, `most` at the most. */
  keysPerReply(most: number): number {
    return Math.max(1, Math.min(most, Math.floor(MOST_REPLY_BYTES / this.replySize.expectedBytes)));
  }

  private getAlone(valueKey: string): Promise<Buffer | null> {
    const { connection, replySize } = this;
    const { line } = connection;
    const cost = { replyBytes: replySize.expectedBytes };
    return line === undefined
      ? connection.run('GET', (client) => this.learnFrom(client.getBuffer(valueKey)), valueKey, cost)
      : connection.exchange.run(
          line,
          'GET',
          (client, listener) => sendOnLine(client, ['get', valueKey], listener),
          cost,
        );
  }

  private async learnFrom(getting: Promise<Buffer | null>): Promise<Buffer | null> {
    const bytes = await getting;
    this.replySize.learn([bytes]);
    return bytes;
  }

  private openBatch(): Batch {
    const valueKeys: string[] = [];
    let begin: (answer: Promise<(Buffer | null)[]>) => void;
    const answer = new Promise<(Buffer | null)[]>((resolve) => (begin = resolve));
    const batch: Batch = {
      valueKeys,
      answer,
      send: () => {
        if (this.batch === batch) {
          this.batch = undefined;
          begin(this.getTogether(valueKeys));
        }
      },
    };
    process.nextTick(batch.send);
    return batch;
  }

  private async getTogether(valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
    try {
      return await this.getMany(valueKeys);
    } finally {
      this.unanswered -= valueKeys.length;
    }
  }

  /**
   * Reads several values of one server, in the order of `valueKeys`. Waits at most the connection's deadline.
   * @throws as `RedisConnection.run`
   */
  async getMany(valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
    const { connection, replySize } = this;
    const { line } = connection;
    const cost = { replyBytes: replySize.expectedBytes * valueKeys.length };
    if (!this.mayBatch) {
      return connection.run('GET', (client) => getEach(client, valueKeys), valueKeys[0], cost);
    }
    try {
      const found = await (line === undefined
        ? connection.run('MGET', (client) => getTogether(client, valueKeys), valueKeys[0], cost)
        : connection.exchange.run<(Buffer | null)[]>(
            line,
            'MGET',
            (to, listener) => sendOnLine(to, ['mget', ...valueKeys], listener),
            cost,
          ));
      replySize.learn(found);
      return found;
    } catch (error) {
      if (error instanceof TierReplyError && (error.reply === 'NOPERM' || error.isRefusal)) {
        this.mayBatch = false; // the ACL allows `GET` alone
        return this.getMany(valueKeys);
      }
      throw error;
    }
  }
}

/** The client of a cluster routes each command to a node, but does not split the keys of one command by node. */
function getTogether(client: RedisClient, valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
  return isCluster(client) ? getEach(client, valueKeys) : client.mgetBuffer([...valueKeys]);
}

function getEach(client: RedisClient, valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
  return Promise.all(valueKeys.map((valueKey) => client.getBuffer(valueKey)));
}
