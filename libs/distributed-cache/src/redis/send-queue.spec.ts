import { describe, expect, it } from 'vitest';
import { SendWindow } from './send-queue.js';

const MOST = 512;
const DEADLINE_MS = 300;

function windowForTest(): { window: SendWindow; answer: (sentAtMs: number, tookMs: number) => void } {
  const window = new SendWindow(MOST, DEADLINE_MS);
  return { window, answer: (sentAtMs, tookMs) => window.onSettled(sentAtMs, sentAtMs + tookMs) };
}

/** Lets the window grow to its full size. */
function open({ answer }: ReturnType<typeof windowForTest>): void {
  for (let times = 0; times < MOST; times++) {
    answer(-1000, 1);
  }
}

describe('SendWindow', () => {
  it('begins small, and grows by one for each quick answer', () => {
    const { window, answer } = windowForTest();
    expect(window.size).toBe(64);
    answer(0, 1);
    answer(1, 1);
    expect(window.size).toBe(66);
  });

  it('does not change while answers are neither quick nor late', () => {
    const { window, answer } = windowForTest();
    answer(0, 1);
    answer(1, DEADLINE_MS / 8);
    expect(window.size).toBe(65);
  });

  it('is halved once for the operations of one window whose answers are late', () => {
    const test = windowForTest();
    const { window, answer } = test;
    open(test);
    for (let sentAtMs = 1; sentAtMs < 50; sentAtMs++) {
      answer(sentAtMs, 100);
    }
    expect(window.size).toBe(MOST / 2);
    answer(500, 100);
    expect(window.size).toBe(MOST / 4);
  });

  it('never closes completely, and grows by one for each quick answer', () => {
    const { window, answer } = windowForTest();
    answer(0, 1);
    for (let sentAtMs = 1000; sentAtMs < 100_000; sentAtMs += 1000) {
      answer(sentAtMs, 250);
    }
    expect(window.size).toBe(32);
    for (let times = 0; times < 10; times++) {
      answer(200_000, 5);
    }
    expect(window.size).toBe(42);
    for (let times = 0; times < 2 * MOST; times++) {
      answer(300_000, 5);
    }
    expect(window.size).toBe(MOST);
  });

  it('grows on a path with a long round trip', () => {
    const { window, answer } = windowForTest();
    for (let sentAtMs = 0; sentAtMs < MOST * 1000; sentAtMs += 1000) {
      answer(sentAtMs, 250);
    }
    expect(window.size).toBe(MOST);
  });
});
