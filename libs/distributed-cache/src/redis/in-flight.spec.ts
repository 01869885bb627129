import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TierTimeoutError, TierUnavailableError } from '../errors/index.js';
import { InFlight, type HealthObserver, type TimeoutVerdict } from './in-flight.js';
import { QUEUE_LIMITS, type QueueLimits } from './send-queue.js';

const DEADLINE_MS = 300;
const MAX_BATCH_MS = 2000;
const NEVER = (): Promise<never> => new Promise(() => {});

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

function inFlightForTest(limits: Partial<QueueLimits> = {}): {
  inFlight: InFlight;
  track: <Result>(operation: string, start: () => Promise<Result>) => Promise<Result>;
  verdicts: TimeoutVerdict[];
  /** Lets time pass, and timers run when they are due. */
  advance: (durationMs: number) => Promise<void>;
  /** Lets time pass while no timer runs: the process is busy. */
  beBusy: (durationMs: number) => void;
  /** Lets the timers run that are due in one millisecond, and nothing after them. */
  fireTimers: () => void;
  receive: () => void;
  answersInTime: () => number;
  /** The part of its time for which the process works from now on, 0 to 1. */
  setLoad: (load: number) => void;
} {
  let [nowMs, progress, answers, load] = [1_000_000, 0, 0, 0];
  const verdicts: TimeoutVerdict[] = [];
  const observer: HealthObserver = {
    progress: () => progress,
    onAnswer: () => void answers++,
    onTimeout: (verdict) => void verdicts.push(verdict),
  };
  const inFlight = new InFlight({
    observer,
    deadlineMs: DEADLINE_MS,
    maxBatchMs: MAX_BATCH_MS,
    nowMs: () => nowMs,
    limits: { ...QUEUE_LIMITS, ...limits },
    measureLoad: () => () => load,
  });
  const advance = async (durationMs: number): Promise<void> => {
    for (let passed = 0; passed < durationMs; passed++) {
      nowMs++;
      await vi.advanceTimersByTimeAsync(1);
      await nextTurn();
    }
  };
  return {
    inFlight,
    track: (operation, start) => inFlight.track(operation, start),
    verdicts,
    advance,
    beBusy: (ms) => void (nowMs += ms),
    fireTimers: () => {
      nowMs++;
      vi.advanceTimersByTime(1);
    },
    receive: () => void progress++,
    answersInTime: () => answers,
    setLoad: (share) => void (load = share),
  };
}

/** The outcome so far. */
function outcomeOf(promise: Promise<unknown>): { error?: unknown; value?: unknown; isPending: boolean } {
  const outcome: { error?: unknown; value?: unknown; isPending: boolean } = { isPending: true };
  promise.then(
    (value) => Object.assign(outcome, { value, isPending: false }),
    (error: unknown) => Object.assign(outcome, { error, isPending: false }),
  );
  return outcome;
}

describe('InFlight', () => {
  it('passes on the result of the operation, value or error object', async () => {
    const { inFlight, track } = inFlightForTest();
    const error = new Error('no');
    expect(await track('GET', () => Promise.resolve(1))).toBe(1);
    await expect(track('GET', () => Promise.reject(error))).rejects.toBe(error);
    expect(inFlight.size).toBe(0);
  });

  it('ends each wait at its own deadline, and names the operation', async () => {
    const { inFlight, track, verdicts, advance } = inFlightForTest();
    const first = outcomeOf(track('GET', NEVER));
    await advance(200);
    const second = outcomeOf(track('SET', NEVER));
    await advance(99);
    expect(first.isPending).toBe(true);
    await advance(3);
    expect(first.error).toBeInstanceOf(TierTimeoutError);
    expect(first.error).toMatchObject({ operation: 'GET', timeoutMs: DEADLINE_MS });
    expect(second.isPending).toBe(true);
    await advance(200);
    expect(second.error).toMatchObject({ operation: 'SET' });
    expect(verdicts).toEqual(['silent', 'silent']);
    expect(inFlight.size).toBe(0);
  });

  it('ignores an answer that arrives after the deadline', async () => {
    const { track, advance, answersInTime } = inFlightForTest();
    let answer: (value: number) => void = () => {};
    const outcome = outcomeOf(track('GET', () => new Promise<number>((resolve) => (answer = resolve))));
    await advance(DEADLINE_MS + 2);
    answer(1);
    await advance(1);
    expect(outcome.error).toBeInstanceOf(TierTimeoutError);
    expect(answersInTime()).toBe(0);
    await track('GET', () => Promise.resolve(1));
    expect(answersInTime()).toBe(1);
  });

  it('calls a connection slow, not silent, when bytes have arrived since the operation was sent', async () => {
    const { track, verdicts, advance, receive } = inFlightForTest();
    outcomeOf(track('GET', NEVER));
    await advance(100);
    receive();
    outcomeOf(track('GET', NEVER));
    await advance(DEADLINE_MS + 2);
    expect(verdicts).toEqual(['slow', 'silent']);
  });

  it('renews the deadline of an operation whose timer ran late, and then decides', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    const outcome = outcomeOf(track('GET', NEVER));
    beBusy(400);
    await advance(DEADLINE_MS + 2);
    expect(outcome.isPending).toBe(true);
    await advance(DEADLINE_MS + 2);
    expect(outcome.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['silent']);
  });

  it('reports that the process was busy where its timer ran late six times in succession', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    const outcome = outcomeOf(track('GET', NEVER));
    for (let time = 1; time <= 6; time++) {
      expect(outcome.isPending).toBe(true);
      beBusy(400);
      await advance(DEADLINE_MS + 2);
    }
    expect(outcome.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['own-load']);
  });

  it('renews the deadline of an operation where a busy process receives answers to others', async () => {
    const { track, verdicts, advance, receive, setLoad } = inFlightForTest();
    setLoad(0.9);
    const outcome = outcomeOf(track('GET', NEVER));
    receive();
    await advance(DEADLINE_MS + 2);
    expect(outcome.isPending).toBe(true);
    setLoad(0.1);
    await advance(DEADLINE_MS + 2);
    expect(outcome.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['slow']);
  });

  it('decides about an operation at its deadline, although an earlier one was given longer', async () => {
    const { track, advance, receive, setLoad, verdicts } = inFlightForTest();
    setLoad(0.8);
    const early = outcomeOf(track('GET', NEVER));
    await advance(10);
    receive(); // the last answer before the server freezes
    await advance(10);
    const late = outcomeOf(track('GET', NEVER));
    await advance(DEADLINE_MS + 5);
    expect([early.isPending, late.isPending]).toEqual([true, false]);
    expect(verdicts).toEqual(['silent']);
  });

  it('renews the deadline of an operation while others are queued behind it and the server answers', async () => {
    const { track, verdicts, advance, receive } = inFlightForTest({ maxSent: 2 });
    const [first] = [outcomeOf(track('SET', NEVER)), outcomeOf(track('SET', NEVER)), outcomeOf(track('SET', NEVER))];
    receive();
    await advance(DEADLINE_MS + 2);
    expect(first?.isPending).toBe(true);
    await advance(5 * DEADLINE_MS + 10);
    expect(first?.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts[0]).toBe('own-load');
  });

  it('begins the deadline of a burst at the end of its event loop turn, when its commands leave', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    const burst = Array.from({ length: 20 }, () => outcomeOf(track('GET', NEVER)));
    beBusy(200);
    await vi.advanceTimersByTimeAsync(200);
    await advance(DEADLINE_MS - 199);
    expect([burst.at(0)?.isPending, burst.at(-1)?.isPending]).toEqual([false, true]);
    await advance(200);
    expect(burst.at(-1)?.isPending).toBe(false);
    expect(new Set(verdicts)).toEqual(new Set(['silent']));
  });

  it('calls a server that answers nothing silent, however busy the process is', async () => {
    const { track, verdicts, advance, setLoad } = inFlightForTest();
    setLoad(0.9);
    outcomeOf(track('GET', NEVER));
    await advance(DEADLINE_MS + 2);
    expect(verdicts).toEqual(['silent']);
  });

  it.each([
    ['gives a silent server two more deadlines while operations queue in a busy process', 0.9, 3],
    ['gives a silent server no more time while operations queue in an idle process', 0.1, 1],
  ])('%s', async (_title, load, deadlines) => {
    const { track, verdicts, advance, setLoad } = inFlightForTest({ maxSent: 1 });
    setLoad(load);
    const [first] = [outcomeOf(track('GET', NEVER)), outcomeOf(track('GET', NEVER))];
    await advance(deadlines * DEADLINE_MS - 1);
    expect(first.isPending).toBe(true);
    await advance(2 * deadlines + 1);
    expect(first.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['silent']);
  });

  describe('with a batch under way', () => {
    const piece = { isPiece: true };

    it('waits for a piece while the server shows signs of life, up to the limit of a batch', async () => {
      const { inFlight, verdicts, advance, receive } = inFlightForTest();
      const outcome = outcomeOf(inFlight.track('SET', NEVER, piece));
      for (let passedMs = 0; passedMs < MAX_BATCH_MS; passedMs += 100) {
        expect(outcome.isPending).toBe(true);
        receive();
        await advance(100);
      }
      await advance(3 * DEADLINE_MS);
      expect(outcome.error).toBeInstanceOf(TierTimeoutError);
      expect(verdicts).toEqual(['slow']);
    });

    it('gives a silent server two more deadlines, also in an idle process', async () => {
      const { inFlight, verdicts, advance } = inFlightForTest();
      const outcome = outcomeOf(inFlight.track('SET', NEVER, piece));
      await advance(3 * DEADLINE_MS - 1);
      expect(outcome.isPending).toBe(true);
      await advance(4);
      expect(outcome.error).toBeInstanceOf(TierTimeoutError);
      expect(verdicts).toEqual(['silent']);
    });

    it('ends another operation at its deadline, and does not decide about the server', async () => {
      const { inFlight, track, verdicts, advance } = inFlightForTest();
      outcomeOf(inFlight.track('SET', NEVER, piece));
      const outcome = outcomeOf(track('GET', NEVER));
      await advance(DEADLINE_MS + 2);
      expect(outcome.error).toBeInstanceOf(TierTimeoutError);
      expect(verdicts).toEqual(['own-load']);
    });
  });

  it('accepts an answer to a command that could not leave while the process was busy', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    let answer: (value: number) => void = () => {};
    const outcome = outcomeOf(track('GET', () => new Promise<number>((resolve) => (answer = resolve))));
    beBusy(400);
    await advance(DEADLINE_MS + 50);
    answer(1);
    await advance(DEADLINE_MS);
    expect(outcome).toEqual({ value: 1, isPending: false });
    expect(verdicts).toEqual([]);
  });

  it('accepts an answer that was in the socket while the process was busy', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    let answer: (value: number) => void = () => {};
    // Node reads sockets after the timers and before the callbacks of `setImmediate`, in the same order as here.
    setTimeout(() => setImmediate(() => answer(1)), DEADLINE_MS);
    const outcome = outcomeOf(track('GET', () => new Promise<number>((resolve) => (answer = resolve))));
    beBusy(400);
    await advance(DEADLINE_MS + 2);
    expect(outcome).toEqual({ value: 1, isPending: false });
    expect(verdicts).toEqual([]);
  });

  it('gives an operation that was sent after the timer had fired its own deadline, however long sockets are read', async () => {
    const { track, verdicts, advance, beBusy, fireTimers } = inFlightForTest();
    let answer: (value: number) => void = () => {};
    const first = outcomeOf(track('GET', () => new Promise<number>((resolve) => (answer = resolve))));
    await advance(DEADLINE_MS - 1);
    fireTimers();
    // Before the verdict: the process reads its sockets.
    answer(1);
    const second = outcomeOf(track('SET', NEVER));
    beBusy(DEADLINE_MS + 100);
    await advance(2);
    expect(first.value).toBe(1);
    expect(second.isPending).toBe(true);
    await advance(2 * DEADLINE_MS + 4);
    expect(second.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['silent']);
  });

  it('renews the deadline of an operation where the reading of sockets takes long', async () => {
    const { track, verdicts, advance, beBusy, fireTimers } = inFlightForTest();
    const outcome = outcomeOf(track('GET', NEVER));
    await advance(DEADLINE_MS - 1);
    fireTimers();
    beBusy(100);
    await advance(2);
    expect(outcome.isPending).toBe(true);
    expect(verdicts).toEqual([]);
  });

  it('sends no more than the window holds, and the others in order as answers arrive', async () => {
    const { inFlight, track } = inFlightForTest({ maxSent: 2 });
    const sent: number[] = [];
    const answers: ((value: number) => void)[] = [];
    const waiting = [0, 1, 2, 3, 4].map((number) =>
      track('GET', () => {
        sent.push(number);
        return new Promise<number>((resolve) => (answers[number] = resolve));
      }),
    );
    expect(sent).toEqual([0, 1]);
    expect(inFlight.isQueueing).toBe(true);
    for (const number of [1, 0, 2, 3, 4]) {
      answers[number]?.(number);
      expect(await waiting[number]).toBe(number);
    }
    expect(sent).toEqual([0, 1, 2, 3, 4]);
    expect(inFlight.isQueueing).toBe(false);
  });

  it('begins the deadline of an operation when it is sent, not while it queues', async () => {
    const { track, advance } = inFlightForTest({ maxSent: 1 });
    let answer: (value: number) => void = () => {};
    const first = outcomeOf(track('GET', () => new Promise<number>((resolve) => (answer = resolve))));
    const second = outcomeOf(track('SET', NEVER));
    await advance(DEADLINE_MS - 20);
    answer(1);
    await advance(DEADLINE_MS - 20);
    expect(first.value).toBe(1);
    expect(second.isPending).toBe(true);
    await advance(30);
    expect(second.error).toBeInstanceOf(TierTimeoutError);
  });

  it('sends urgent operations before those that have waited longer', async () => {
    const { inFlight, track } = inFlightForTest({ maxSent: 1 });
    const sent: string[] = [];
    const note = (name: string) => async () => void sent.push(name);
    await Promise.all([
      track('FIRST', note('first')),
      track('GET', note('get')),
      track('SET', note('set')),
      inFlight.track('FILL', note('fill'), { isUrgent: true }),
    ]);
    expect(sent).toEqual(['first', 'fill', 'get', 'set']);
  });

  it('bounds the sent and the queued operations by bytes, and sends a single operation of any size', async () => {
    const { inFlight } = inFlightForTest({ maxSentBytes: 100, maxQueuedBytes: 250 });
    let sent = 0;
    const track = (bytes: number, replyBytes = 0) =>
      outcomeOf(
        inFlight.track(
          'SET',
          () => {
            sent++;
            return NEVER();
          },
          { bytes, replyBytes },
        ),
      );
    track(500);
    expect(sent).toBe(1);
    const waiting = [track(200), track(50), track(0, 1_000_000)];
    const refused = track(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(refused.error).toMatchObject({ reason: 'overloaded' });
    expect(waiting.map(({ isPending }) => isPending)).toEqual([true, true, true]);
    expect(sent).toBe(1);
  });

  it('sends thousands of queued operations that fail at once without a stack overflow', async () => {
    const { inFlight, track } = inFlightForTest({ maxSent: 1 });
    const failed = vi.fn();
    let fail: (error: Error) => void = () => {};
    const first = track('GET', () => new Promise<never>((_resolve, reject) => (fail = reject))).catch(failed);
    const others = Array.from({ length: 20_000 }, () =>
      inFlight.listen('GET', (waiter) => waiter.onFailure(new Error('not writable'))).catch(failed),
    );
    fail(new Error('not writable'));
    await Promise.all([first, ...others]);
    expect(failed).toHaveBeenCalledTimes(20_001);
    expect(inFlight.size).toBe(0);
  });

  it('refuses at once the operations beyond the queue, and accepts more when there is space again', async () => {
    const { inFlight, track, advance } = inFlightForTest({ maxSent: 2, maxQueued: 1 });
    const waiting = [1, 2, 3].map(() => outcomeOf(track('GET', NEVER)));
    const start = vi.fn(NEVER);
    await expect(track('GET', start)).rejects.toThrow(new TierUnavailableError('GET', 'overloaded'));
    expect(start).not.toHaveBeenCalled();
    const piece = inFlight.track('SET', async () => 'stored', { isPiece: true }); // it stands for many keys
    expect(waiting.map(({ isPending }) => isPending)).toEqual([true, true, true]);
    await advance(2 * DEADLINE_MS + 4);
    expect(await piece).toBe('stored');
    expect(inFlight.size).toBe(0);
    expect(await track('GET', () => Promise.resolve(1))).toBe(1);
  });

  it('fails every operation at once, with an error that says whether it was sent', async () => {
    const { inFlight, track, verdicts, advance } = inFlightForTest({ maxSent: 1 });
    const outcomes = ['GET', 'SET'].map((operation) => outcomeOf(track(operation, NEVER)));
    inFlight.releaseAll((operation, wasSent) => new TierUnavailableError(operation, 'not-connected', wasSent));
    await advance(0);
    expect(outcomes.map(({ error }) => (error as Error).message)).toEqual([
      "GET was sent, and its answer is not waited for: Redis can't be used (not-connected)",
      "SET was not sent: Redis can't be used (not-connected)",
    ]);
    expect(inFlight.size).toBe(0);
    await advance(DEADLINE_MS + 2);
    expect(verdicts).toEqual([]);
  });

  it('accepts new operations from within the release of the old ones', async () => {
    const { inFlight, track, advance } = inFlightForTest();
    const again = outcomeOf(track('GET', NEVER).catch(() => track('AGAIN', NEVER)));
    inFlight.releaseAll((operation) => new TierUnavailableError(operation, 'not-connected'));
    await advance(DEADLINE_MS + 2);
    expect(again.error).toMatchObject({ operation: 'AGAIN', code: 'CACHE_TIER_TIMEOUT' });
  });

  it('serves any number of operations with one timer, which is referenced only while an operation waits', async () => {
    vi.useRealTimers();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const { inFlight, track } = inFlightForTest();
    await Promise.all(Array.from({ length: 50 }, () => track('GET', () => Promise.resolve(1))));
    expect(timers).toHaveBeenCalledTimes(1);
    const timer = timers.mock.results[0]?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    outcomeOf(track('GET', NEVER));
    expect(timer.hasRef()).toBe(true);
    expect(timers).toHaveBeenCalledTimes(1);
    inFlight.releaseAll((operation) => new TierUnavailableError(operation, 'closed'));
    expect(timer.hasRef()).toBe(false);
  });
});
