import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionFault } from './client-errors.js';
import { DeadlineClock } from './deadline.js';
import type { RedisClient } from './redis-client.js';
import { ServerNode } from './server-node.js';

const DEADLINE_MS = 300;
/** How much longer a busy process waits: the faked time leaves it no idle time. */
const MOST_EXTENSION_MS = 1200;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A client whose connection is open to a server that is frozen, until `thaw`. Its questions are counted. */
function frozenServer() {
  let [isFrozen, questions, cuts] = [true, 0, 0];
  let unanswered: (() => void)[] = [];
  const stream = { bytesRead: 0, destroy: () => void cuts++, unref: () => {} };
  const answer = async <Reply>(reply: Reply): Promise<Reply> => {
    await (isFrozen && new Promise<void>((resolve) => unanswered.push(resolve)));
    stream.bytesRead++;
    return reply;
  };
  const client = {
    isCluster: false,
    status: 'ready',
    options: {},
    stream,
    time: () => {
      questions++;
      return answer(['1', '0']);
    },
    ping: () => answer('PONG'),
    call: () => answer('id=1 addr=127.0.0.1:1'),
  };
  return {
    client: client as unknown as RedisClient,
    questions: () => questions,
    cuts: () => cuts,
    thaw: () => {
      isFrozen = false;
      unanswered.forEach((resolve) => resolve());
      unanswered = [];
    },
  };
}

describe('a server that was frozen', () => {
  it('is used again as soon as it has answered once late and once in time, without a pause', async () => {
    let nowMs = 1_000_000;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    const advance = async (durationMs: number): Promise<void> => {
      for (let passedMs = 0; passedMs < durationMs; passedMs += 5) {
        nowMs += 5;
        await vi.advanceTimersByTimeAsync(5);
        await nextTurn();
      }
    };
    const { client, questions, cuts, thaw } = frozenServer();
    const limits = { deadlineMs: DEADLINE_MS, commandTimeoutMs: 5000, heartbeatMs: 1000, nowMs: () => nowMs };
    const onLive = vi.fn();
    const node = new ServerNode(
      {
        name: 'redis',
        isUp: true,
        fault: new ConnectionFault(),
        findClient: () => client,
        prepare: async () => {},
        onDoubt: () => {},
        onDoubtEnded: () => {},
        onDown: () => {},
        onCause: () => {},
        onLive,
      },
      { limits, deadlineClock: new DeadlineClock(() => nowMs, DEADLINE_MS), send: () => {} },
    );
    node.fail('timeout');
    while (cuts() < 3 || questions() < 4) {
      await advance(50); // with each check a late answer is waited for longer
    }
    await advance(DEADLINE_MS + MOST_EXTENSION_MS); // the deadline of the fourth check is over, its patience is not
    const asked = questions();
    expect(node.isUp).toBe(false);
    thaw();
    for (let turn = 0; turn < 20; turn++) {
      await nextTurn();
    }
    expect(onLive).toHaveBeenCalledTimes(1);
    expect(questions()).toBe(asked + 1);
    node.stop();
  });
});
