import { TierReplyError, TierUnavailableError } from '../errors/index.js';
import { isCluster, type RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';
import { sendOnLine } from './wire-command.js';

/** Reads that leave together. */
interface Batch {
  readonly valueKeys: string[];
  readonly answer: Promise<(Buffer | null)[]>;
  readonly send: () => void;
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
  private batch: Batch | undefined;
  private unanswered = 0;
  private mayBatch = true;

  constructor(private readonly connection: RedisConnection) {}

  /** Waits at most the connection's deadline. @throws as `RedisConnection.run` */
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
    if (place === MOST_KEYS - 1) {
      batch.send();
    }
    return batch.answer.then((found) => found[place] ?? null);
  }

  private getAlone(valueKey: string): Promise<Buffer | null> {
    const { connection } = this;
    const { line } = connection;
    return line === undefined
      ? connection.run('GET', (client) => client.getBuffer(valueKey), valueKey)
      : connection.exchange.run(line, 'GET', (client, listener) => sendOnLine(client, ['get', valueKey], listener));
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

  /** Those of one server, in the order of `valueKeys`. Waits at most the connection's deadline. @throws as `RedisConnection.run` */
  async getMany(valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
    const { connection } = this;
    const { line } = connection;
    if (!this.mayBatch) {
      return connection.run('GET', (client) => getEach(client, valueKeys), valueKeys[0]);
    }
    try {
      return await (line === undefined
        ? connection.run('MGET', (client) => getTogether(client, valueKeys), valueKeys[0])
        : connection.exchange.run<(Buffer | null)[]>(line, 'MGET', (to, listener) =>
            sendOnLine(to, ['mget', ...valueKeys], listener),
          ));
    } catch (error) {
      if (error instanceof TierReplyError && error.reply === 'NOPERM') {
        this.mayBatch = false; // an ACL that knows of `GET` alone
        return this.getMany(valueKeys);
      }
      throw error;
    }
  }
}

/** A cluster's client sorts commands by node, not keys. */
function getTogether(client: RedisClient, valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
  return isCluster(client) ? getEach(client, valueKeys) : client.mgetBuffer([...valueKeys]);
}

function getEach(client: RedisClient, valueKeys: readonly string[]): Promise<(Buffer | null)[]> {
  return Promise.all(valueKeys.map((valueKey) => client.getBuffer(valueKey)));
}
