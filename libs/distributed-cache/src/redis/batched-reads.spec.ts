import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { TierUnavailableError } from '../errors/index.js';
import { BatchedReads } from './batches.js';
import type { RedisConnection } from './redis-connection.js';
import { QUEUE_LIMITS, type SendCost } from './send-queue.js';
import type { Command, Request } from './send.js';

/** A connection that records the requests and answers them. The subject is the requests, not how Redis answers. */
class RecordingConnection {
  isCluster = false;
  isBusy = false;
  readonly commands: string[] = [];
  /** What each request expects in its reply. */
  readonly replyBytes: number[] = [];
  refusal: Error | undefined;
  /** How large values are; default: as long as their keys. */
  valueBytes: number | undefined;

  async request<Result>(
    _operation: string,
    _key: string | undefined,
    build: () => Request<Result>,
    { replyBytes = 0 }: SendCost,
  ): Promise<Result> {
    this.replyBytes.push(replyBytes);
    return this.resultOf(build());
  }

  private resultOf<Result>(request: Request<Result>): Result {
    try {
      return request.resultOf(request.commands.map((command) => this.answerTo(command)));
    } catch (error) {
      const next = request.insteadOf?.(error as Error);
      if (next === undefined) {
        throw error;
      }
      return this.resultOf(next);
    }
  }

  private answerTo([name, ...args]: Command): unknown {
    this.commands.push(`${name.toUpperCase()} ${name === 'get' ? String(args[0]) : args.length}`);
    const { valueBytes, refusal } = this;
    const values = args.map((key) =>
      key === 'none' ? null : valueBytes === undefined ? Buffer.from(String(key)) : Buffer.alloc(valueBytes),
    );
    return name === 'get' ? values[0] : (refusal ?? values);
  }
}

function readsForTest() {
  const connection = new RecordingConnection();
  return { connection, reads: new BatchedReads(connection as unknown as RedisConnection) };
}

function errorReply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

const keysOf = (count: number) => Array.from({ length: count }, (_, index) => `key ${index}`);

describe('reads of single values', () => {
  it('leave at once, one command each, while the connection is idle', async () => {
    const { connection, reads } = readsForTest();
    expect(String(await reads.get('a'))).toBe('a');
    expect(connection.commands).toEqual(['GET a']);
  });

  it('leave together while others are unanswered, and each gets its own value', async () => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    const keys = [...keysOf(9), 'none'];
    const found = await Promise.all(keys.map((key) => reads.get(key)));
    expect(found.map((bytes) => bytes && String(bytes))).toEqual([...keysOf(9), null]);
    expect(connection.commands).toEqual(['MGET 10']);
  });

  it('leave in groups of 64 at most', async () => {
    const { connection, reads } = readsForTest();
    await reads.get('first');
    connection.isBusy = true;
    connection.commands.length = 0;
    await Promise.all(keysOf(130).map((key) => reads.get(key)));
    expect(connection.commands).toEqual(['MGET 64', 'MGET 64', 'MGET 2']);
  });

  it('ask for 64 values at most before the size of one is known, and for as many as 4 MiB hold afterwards', async () => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    connection.valueBytes = 1024 * 1024;
    await Promise.all(keysOf(20).map((key) => reads.get(key)));
    expect(connection.commands).toEqual(['MGET 16', 'MGET 4']);
    expect(connection.replyBytes[0]).toBe(QUEUE_LIMITS.maxSentBytes / 4);
    await reads.get('key');
    expect(connection.replyBytes.at(-1)).toBe(1024 * 1024);
  });

  it('ask for more keys at once where the first ones are missing', async () => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    for (let round = 0; round < 5; round++) {
      await reads.get('none');
    }
    connection.commands.length = 0;
    await Promise.all(keysOf(64).map((key) => reads.get(key)));
    expect(connection.commands).toEqual(['MGET 64']);
  });

  it('leave one by one in a cluster, where keys belong to several servers', async () => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    connection.isCluster = true;
    await Promise.all(keysOf(2).map((key) => reads.get(key)));
    expect(connection.commands).toEqual(['GET key 0', 'GET key 1']);
  });

  it.each([
    'LOADING Redis is loading the dataset in memory',
    'BUSY Redis is busy running a script',
    'OOM command not allowed',
    "CROSSSLOT Keys in request don't hash to the same slot",
    'CLUSTERDOWN The cluster is down',
    'MASTERDOWN Link with MASTER is down',
  ])('fail with the error of their command, and are sent together the next time: %s', async (message) => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    connection.refusal = errorReply(message);
    const results = await Promise.allSettled(keysOf(3).map((key) => reads.get(key)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    connection.refusal = undefined;
    await Promise.all(keysOf(2).map((key) => reads.get(key)));
    expect(connection.commands).toEqual(['MGET 3', 'MGET 2']);
  });

  it.each(["NOPERM this user has no permissions to run the 'mget' command", "ERR unknown command 'mget'"])(
    'leave one by one where MGET is forbidden, and together again a minute later, if it is allowed then: %s',
    async (message) => {
      vi.useFakeTimers({ toFake: ['performance'] });
      onTestFinished(() => void vi.useRealTimers());
      const { connection, reads } = readsForTest();
      connection.isBusy = true;
      connection.refusal = errorReply(message);
      const readTwo = async (): Promise<string[]> => {
        connection.commands.length = 0;
        const found = await Promise.all(keysOf(2).map((key) => reads.get(key)));
        expect(found.map(String)).toEqual(keysOf(2));
        return [...connection.commands];
      };
      const singly = ['GET key 0', 'GET key 1'];
      expect(await readTwo()).toEqual(['MGET 2', ...singly]);
      vi.advanceTimersByTime(59_999);
      expect(await readTwo()).toEqual(singly);
      vi.advanceTimersByTime(1);
      expect(await readTwo()).toEqual(['MGET 2', ...singly]);
      connection.refusal = undefined;
      vi.advanceTimersByTime(60_000);
      expect(await readTwo()).toEqual(['MGET 2']);
    },
  );

  it('leave in smaller groups where values are large', async () => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    connection.valueBytes = 300_000;
    await Promise.all(keysOf(2).map((key) => reads.get(key)));
    connection.commands.length = 0;
    await Promise.all(keysOf(7).map((key) => reads.get(key)));
    expect(connection.commands).toEqual(['MGET 3', 'MGET 3', 'MGET 1']);
  });

  it('are refused when more than 100000 are waiting', async () => {
    const { connection, reads } = readsForTest();
    connection.isBusy = true;
    const waiting = keysOf(100_000).map((key) => reads.get(key));
    await expect(reads.get('one more')).rejects.toThrow(new TierUnavailableError('GET', 'overloaded'));
    await Promise.all(waiting);
    expect(String(await reads.get('after'))).toBe('after');
  });
});
