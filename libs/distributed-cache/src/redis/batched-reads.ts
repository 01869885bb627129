import { TierReplyError, TierUnavailableError } from '../errors/index.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';
import { isOneLine, sendUntimed } from './untimed-command.js';

interface WaitingRead {
  readonly valueKey: string;
  readonly resolve: (bytes: Buffer | null) => void;
  readonly reject: (error: unknown) => void;
}

/** Its answer comes as a whole: so many values at most wait for each other. */
const MOST_KEYS = 64;
/** More reads than this at once are refused: what each takes of the memory adds up. */
const MOST_READS = 16_384;

/**
 * Reads of single values. One on an idle connection leaves at once, as a `GET`. While others are unanswered, the reads of one turn of the
 * event loop leave together, as an `MGET`: a hundred callers cost the client a third of what a hundred commands cost it.
 */
export class BatchedReads {
  private waiting: WaitingRead[] = [];
  private unanswered = 0;
  private mayBatch = true;

  constructor(private readonly connection: RedisConnection) {}

  /** Waits at most the connection's deadline. @throws as `RedisConnection.run` */
  get(valueKey: string): Promise<Buffer | null> {
    const { connection } = this;
    if (!connection.isBusy || connection.isCluster || !this.mayBatch) {
      return this.getAlone(valueKey);
    }
    if (this.unanswered >= MOST_READS) {
      return Promise.reject(new TierUnavailableError('GET', 'overloaded'));
    }
    this.unanswered++;
    return new Promise((resolve, reject) => {
      if (this.waiting.push({ valueKey, resolve, reject }) === 1) {
        process.nextTick(() => this.sendAll());
      }
    });
  }

  private getAlone(valueKey: string): Promise<Buffer | null> {
    return this.connection.run('GET', (client) => getBytes(client, valueKey), valueKey);
  }

  private sendAll(): void {
    const { waiting } = this;
    this.waiting = [];
    for (let from = 0; from < waiting.length; from += MOST_KEYS) {
      void this.sendTogether(waiting.slice(from, from + MOST_KEYS));
    }
  }

  private async sendTogether(reads: readonly WaitingRead[]): Promise<void> {
    try {
      const keys = reads.map(({ valueKey }) => valueKey);
      const found = await this.connection.run('GET', (client) => getManyBytes(client, keys), keys[0]);
      for (const [index, { resolve }] of reads.entries()) {
        resolve(found[index] ?? null);
      }
    } catch (error) {
      if (error instanceof TierReplyError && error.reply === 'NOPERM') {
        this.mayBatch = false; // an ACL that knows of `GET` alone
        reads.forEach(({ valueKey, resolve, reject }) => void this.getAlone(valueKey).then(resolve, reject));
      } else {
        reads.forEach(({ reject }) => reject(error));
      }
    } finally {
      this.unanswered -= reads.length;
    }
  }
}

function getBytes(client: RedisClient, valueKey: string): Promise<Buffer | null> {
  return isOneLine(client)
    ? (sendUntimed(client, ['get', valueKey]) as Promise<Buffer | null>)
    : client.getBuffer(valueKey);
}

/** As `mgetBuffer` of the client. */
export function getManyBytes(client: RedisClient, valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
  return isOneLine(client)
    ? (sendUntimed(client, ['mget', ...valueKeys]) as Promise<(Buffer | null)[]>)
    : client.mgetBuffer([...valueKeys]);
}
