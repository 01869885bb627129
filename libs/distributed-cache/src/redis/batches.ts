import { TierUnavailableError } from '../errors/index.js';
import { DispensableCommand, isForbidden } from './client-errors.js';
import { QUEUE_LIMITS, type SendCost } from './send-queue.js';
import type { RedisConnection } from './redis-connection.js';
import { orElse, requireAll, type Command, type Request } from './send.js';

/** The size limits of one piece of a batch. */
export interface PieceLimits<Item> {
  readonly maxItems: number;
  readonly maxBytes: number;
  bytesOf(item: Item): number;
}

/** Number of pieces of a batch that are under way at once: one is on the wire while the next is prepared. */
const PARALLEL_PIECES = 2;

/**
 * Cuts a batch into pieces, in order. An item that is larger than a piece is a piece of its own. A piece is cut when it
 * is asked for, by the limits of that moment.
 */
function* piecesOf<Item>(items: Iterable<Item>, limits: PieceLimits<Item>): Generator<readonly Item[]> {
  let piece: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = limits.bytesOf(item);
    if (piece.length > 0 && (piece.length >= limits.maxItems || bytes + size > limits.maxBytes)) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(item);
    bytes += size;
  }
  if (piece.length > 0) {
    yield piece;
  }
}

/**
 * Works on the pieces of a batch in order, {@link PARALLEL_PIECES} at a time. A batch of any size thus takes no more of
 * the queue than that, and each piece has a deadline of its own.
 * @param items are taken when their piece is cut
 * @param work must not reject
 */
export async function inPieces<Item>(
  items: Iterable<Item>,
  limits: PieceLimits<Item>,
  work: (piece: readonly Item[]) => Promise<void>,
): Promise<void> {
  const pieces = piecesOf(items, limits);
  const run = async (): Promise<void> => {
    for (let next = pieces.next(); next.done !== true; next = pieces.next()) {
      await work(next.value);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PIECES }, run));
}

/**
 * Does work in pieces of limited size, separately for each group of keys.
 * @param work receives a piece, and whether it is one of several of its group
 */
export async function byPieces<Item>(
  groups: readonly (readonly Item[])[],
  limits: PieceLimits<Item>,
  work: (piece: readonly Item[], isPiece: boolean) => Promise<void>,
): Promise<void> {
  await Promise.all(
    groups.map((group) => inPieces(group, limits, (piece) => work(piece, piece.length < group.length))),
  );
}

/**
 * `Promise.all` for items that may already be values: when none of them is a promise, the items are returned as they
 * are. That saves one promise per item.
 */
export function allOf<Item>(items: readonly (Item | Promise<Item>)[]): readonly Item[] | Promise<Item[]> {
  return items.some((item) => item instanceof Promise) ? Promise.all(items) : (items as readonly Item[]);
}

/**
 * What is read with a value. `joined`: other reads follow in the same turn of the event loop, and shall be in the same
 * command. `ahead`: it is such a read, for which no caller waits.
 */
export type ReadCompany = 'alone' | 'joined' | 'ahead';

/** The values of one reply, in the order of their keys; `null` where there is none. */
export type Found = readonly (Buffer | null)[];

/** Reads values and stamps of one server, or of the one of several that may answer. */
export interface Reads {
  /** The reads of the primary, which decides what is stored. */
  readonly atPrimary: Reads;
  /** How many values of the expected size one reply may hold, `most` at the most. */
  keysPerReply(most: number): number;
  /**
   * Reads one value; waits at most the connection's deadline.
   * @returns `null` when there is none
   * @throws as `RedisConnection.run`
   */
  get(valueKey: string, company?: ReadCompany): Promise<Buffer | null>;
  /**
   * Reads several values of one server, in the order of `valueKeys`. Waits at most the connection's deadline, or longer
   * for a piece of a batch.
   * @throws as `RedisConnection.run`
   */
  getMany(valueKeys: readonly string[], isPiece?: boolean): Promise<Found>;
  /** Receives the keys that were read at the primary by other commands; absent when there is no other server. */
  readonly onReadAtPrimary?: (valueKeys: readonly string[]) => void;
  /** Sends any other question about one key. */
  ask<Result>(operation: string, key: string, build: () => Request<Result>, cost?: SendCost): Promise<Result>;
}

/** Reads that are sent together, in one `MGET`. */
interface Batch {
  readonly valueKeys: string[];
  readonly answer: Promise<Found>;
  readonly send: () => void;
}

/** Maximum number of keys in one `MGET`: its reply arrives as a whole, so every value in it waits for the others. */
const MOST_KEYS = 64;
/** Maximum expected size of one reply, in bytes, for the same reason. */
const MOST_REPLY_BYTES = 1024 * 1024;
/** Maximum number of unanswered reads; the next is refused, as a command beyond that number is: each takes memory. */
const MOST_READS = QUEUE_LIMITS.maxQueued;

const MGET = new DispensableCommand();

/**
 * Reads single values, and combines concurrent reads. A read on an idle connection is sent at once, as a `GET`. While
 * other commands are unanswered, the reads of one turn of the event loop are sent together, as an `MGET`: a hundred
 * callers cost the client a third of what a hundred commands cost it.
 */
export class BatchedReads implements Reads {
  readonly atPrimary: Reads = this;
  private batch: Batch | undefined;
  private unanswered = 0;
  private readonly replySize = new ReplySize();

  constructor(private readonly connection: RedisConnection) {}

  get(valueKey: string, company: ReadCompany = 'alone'): Promise<Buffer | null> {
    const { connection } = this;
    if ((!connection.isBusy && company === 'alone') || connection.isCluster || !MGET.maySend(connection)) {
      return this.getAlone(valueKey);
    }
    if (this.unanswered >= (company === 'ahead' ? MOST_READS / 10 : MOST_READS)) {
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

  keysPerReply(most: number): number {
    return Math.max(1, Math.min(most, Math.floor(MOST_REPLY_BYTES / this.replySize.expectedBytes)));
  }

  private getAlone(valueKey: string): Promise<Buffer | null> {
    const cost = { replyBytes: this.replySize.expectedBytes };
    const reading: Request<Buffer | null> = {
      commands: [['get', valueKey]],
      resultOf: (outcomes) => {
        const found = requireAll(outcomes) as Found;
        this.replySize.learn(found);
        return found[0] ?? null;
      },
    };
    return this.connection.request('GET', valueKey, () => reading, cost);
  }

  private openBatch(): Batch {
    const valueKeys: string[] = [];
    let begin: (answer: Promise<Found>) => void;
    const answer = new Promise<Found>((resolve) => (begin = resolve));
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

  private async getTogether(valueKeys: readonly string[]): Promise<Found> {
    try {
      return await this.getMany(valueKeys);
    } finally {
      this.unanswered -= valueKeys.length;
    }
  }

  ask<Result>(operation: string, key: string, build: () => Request<Result>, cost?: SendCost): Promise<Result> {
    return this.connection.request(operation, key, build, cost);
  }

  async getMany(valueKeys: readonly string[], isPiece = false): Promise<Found> {
    const { connection, replySize } = this;
    const [first] = valueKeys;
    const cost = { replyBytes: replySize.expectedBytes * valueKeys.length, isPiece };
    const maySend = MGET.maySend(connection);
    // The client of a cluster routes each command to a node, but does not split the keys of one command by node.
    const reading = maySend && !connection.isCluster ? this.together(valueKeys) : readEach(valueKeys);
    const found = await connection.request(maySend ? 'MGET' : 'GET', first, () => reading, cost);
    replySize.learn(found);
    return found;
  }

  private together(valueKeys: readonly string[]): Request<Found> {
    const reading: Request<Found> = {
      commands: [['mget', ...valueKeys]],
      resultOf: (outcomes) => requireAll(outcomes)[0] as Found,
    };
    return orElse(reading, (failure) => {
      if (isForbidden(failure)) {
        MGET.forbid(this.connection);
        return readEach(valueKeys);
      }
      return undefined;
    });
  }
}

function readEach(valueKeys: readonly string[]): Request<Found> {
  return {
    commands: valueKeys.map((valueKey): Command => ['get', valueKey]),
    resultOf: (outcomes) => requireAll(outcomes) as Found,
  };
}

/**
 * The estimate before the first value: no more than 64 values are asked for at once. With a small guess the first burst
 * of a process could ask for a gigabyte. Replies without a value lower it to the second number: where keys are missing,
 * most of the next ones will be.
 */
const FIRST_GUESS_BYTES = 65_536;
const LEAST_GUESS_BYTES = 16_384;
/** The weight of the newest reply in the estimate when its values are smaller than the estimate. */
const SHARE_OF_NEWEST = 0.25;

/**
 * Estimates the size of the values in Redis's replies, in bytes, so that the total of the replies under way can be
 * limited. The estimate follows larger values at once and smaller ones gradually.
 */
class ReplySize {
  private bytes: number | undefined;
  private guessBytes = FIRST_GUESS_BYTES;

  get expectedBytes(): number {
    return this.bytes ?? this.guessBytes;
  }

  /** Updates the estimate. @param found the values of one reply */
  learn(found: Found): void {
    let [sum, count] = [0, 0];
    for (const value of found) {
      if (value !== null) {
        sum += value.length;
        count++;
      }
    }
    if (count === 0) {
      this.guessBytes = Math.max(LEAST_GUESS_BYTES, this.guessBytes * (1 - SHARE_OF_NEWEST));
      return;
    }
    const newest = sum / count;
    const { bytes = newest } = this;
    this.bytes = newest > bytes ? newest : bytes + (newest - bytes) * SHARE_OF_NEWEST;
  }
}
