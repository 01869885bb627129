import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TierTimeoutError, TierUnavailableError } from '../errors/index.js';
import { InFlight, type Judge, type TimeoutVerdict } from './in-flight.js';

const DEADLINE_MS = 300;
const NEVER = (): Promise<never> => new Promise(() => {});

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] }));
afterEach(() => vi.useRealTimers());

function inFlightForTest(maxPending = 100): {
  inFlight: InFlight;
  track: <Result>(operation: string, start: () => Promise<Result>) => Promise<Result>;
  verdicts: TimeoutVerdict[];
  /** Time goes by, and timers run when they are due. */
  advance: (durationMs: number) => Promise<void>;
  /** Time goes by and nothing runs: the process is busy. */
  beBusy: (durationMs: number) => void;
  receive: () => void;
  answersInTime: () => number;
} {
  let [nowMs, progress, answers] = [1_000_000, 0, 0];
  const verdicts: TimeoutVerdict[] = [];
  const inFlight = new InFlight({ deadlineMs: DEADLINE_MS, maxPending, nowMs: () => nowMs });
  const judge: Judge = {
    progress: () => progress,
    onAnswer: () => void answers++,
    onTimeout: (verdict) => void verdicts.push(verdict),
  };
  const advance = async (durationMs: number): Promise<void> => {
    for (let passed = 0; passed < durationMs; passed++) {
      nowMs++;
      await vi.advanceTimersByTimeAsync(1);
    }
  };
  return {
    inFlight,
    track: (operation, start) => inFlight.track(operation, judge, start),
    verdicts,
    advance,
    beBusy: (ms) => void (nowMs += ms),
    receive: () => void progress++,
    answersInTime: () => answers,
  };
}

/** What became of it so far. */
function outcomeOf(promise: Promise<unknown>): { error?: unknown; value?: unknown; isPending: boolean } {
  const outcome: { error?: unknown; value?: unknown; isPending: boolean } = { isPending: true };
  promise.then(
    (value) => Object.assign(outcome, { value, isPending: false }),
    (error: unknown) => Object.assign(outcome, { error, isPending: false }),
  );
  return outcome;
}

describe('InFlight', () => {
  it('hands on what the operation gives, value or the very error', async () => {
    const { inFlight, track } = inFlightForTest();
    const error = new Error('no');
    expect(await track('GET', () => Promise.resolve(1))).toBe(1);
    await expect(track('GET', () => Promise.reject(error))).rejects.toBe(error);
    expect(inFlight.size).toBe(0);
  });

  it('ends a wait at the deadline, each at its own, and names the operation', async () => {
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

  it('does not count an answer that comes after the deadline', async () => {
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

  it('calls a connection slow, not silent, when something arrived since the operation was sent', async () => {
    const { track, verdicts, advance, receive } = inFlightForTest();
    outcomeOf(track('GET', NEVER));
    await advance(100);
    receive();
    outcomeOf(track('GET', NEVER));
    await advance(DEADLINE_MS + 2);
    expect(verdicts).toEqual(['slow', 'silent']);
  });

  it('waits a moment longer, once, where its timer came late, and then judges', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    const outcome = outcomeOf(track('GET', NEVER));
    beBusy(400);
    await advance(DEADLINE_MS + 2);
    expect(outcome.isPending).toBe(true);
    await advance(102);
    expect(outcome.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['silent']);
  });

  it('says that the process was busy where its timer came late twice', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    const outcome = outcomeOf(track('GET', NEVER));
    beBusy(400);
    await advance(DEADLINE_MS + 2);
    beBusy(400);
    await advance(102);
    expect(outcome.error).toBeInstanceOf(TierTimeoutError);
    expect(verdicts).toEqual(['busy-process']);
  });

  it('takes an answer to a command that could not leave while the process was busy', async () => {
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

  it('takes an answer that lay in the socket while the process was busy', async () => {
    const { track, verdicts, advance, beBusy } = inFlightForTest();
    let answer: (value: number) => void = () => {};
    // Sockets are read after the timers and before what they left to `setImmediate`: so is this.
    setTimeout(() => setImmediate(() => answer(1)), DEADLINE_MS);
    const outcome = outcomeOf(track('GET', () => new Promise<number>((resolve) => (answer = resolve))));
    beBusy(400);
    await advance(DEADLINE_MS + 2);
    expect(outcome).toEqual({ value: 1, isPending: false });
    expect(verdicts).toEqual([]);
  });

  it('refuses at once what goes beyond the cap, and takes more when there is room again', async () => {
    const { inFlight, track, advance } = inFlightForTest(3);
    const waiting = [1, 2, 3].map(() => outcomeOf(track('GET', NEVER)));
    const start = vi.fn(NEVER);
    await expect(track('GET', start)).rejects.toThrow(new TierUnavailableError('GET', 'overloaded'));
    expect(start).not.toHaveBeenCalled();
    expect(waiting.map(({ isPending }) => isPending)).toEqual([true, true, true]);
    await advance(DEADLINE_MS + 2);
    expect(inFlight.size).toBe(0);
    expect(await track('GET', () => Promise.resolve(1))).toBe(1);
  });

  it('releases every waiter at once with the error of its operation', async () => {
    const { inFlight, track, verdicts, advance } = inFlightForTest();
    const outcomes = ['GET', 'SET'].map((operation) => outcomeOf(track(operation, NEVER)));
    inFlight.releaseAll((operation) => new TierUnavailableError(operation, 'not-connected'));
    await advance(0);
    expect(outcomes.map(({ error }) => (error as Error).message)).toEqual([
      "GET was not sent: Redis can't be used (not-connected)",
      "SET was not sent: Redis can't be used (not-connected)",
    ]);
    expect(inFlight.size).toBe(0);
    await advance(DEADLINE_MS + 2);
    expect(verdicts).toEqual([]);
  });

  it('releases and judges by server, so that a hung one costs those who wait for another nothing', async () => {
    const { inFlight, track, verdicts, advance } = inFlightForTest();
    const seen: TimeoutVerdict[] = [];
    const other: Judge = { progress: () => 0, onAnswer: () => {}, onTimeout: (verdict) => void seen.push(verdict) };
    const [mine, theirs] = [outcomeOf(track('GET', NEVER)), outcomeOf(inFlight.track('SET', other, NEVER))];
    inFlight.releaseAll((operation) => new TierUnavailableError(operation, 'breaker-open'), other);
    await advance(0);
    expect(theirs.error).toMatchObject({ operation: 'SET', reason: 'breaker-open' });
    expect(mine.isPending).toBe(true);
    await advance(DEADLINE_MS + 2);
    expect([verdicts, seen]).toEqual([['silent'], []]);
  });

  it('takes new operations from within the release of the old ones', async () => {
    const { inFlight, track, advance } = inFlightForTest();
    const again = outcomeOf(track('GET', NEVER).catch(() => track('AGAIN', NEVER)));
    inFlight.releaseAll((operation) => new TierUnavailableError(operation, 'not-connected'));
    await advance(DEADLINE_MS + 2);
    expect(again.error).toMatchObject({ operation: 'AGAIN', code: 'CACHE_TIER_TIMEOUT' });
  });

  it('serves any number of operations with one timer, which keeps the process alive only while somebody waits', async () => {
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
