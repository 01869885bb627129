import type { Scheduler } from 'fast-check';

interface FakeTimer {
  isCleared: boolean;
  ref(): FakeTimer;
  unref(): FakeTimer;
}

/** While `work` runs, a timer fires when the scheduler says so, and repeating timers do not fire at all. */
export async function scheduledTimers(scheduler: Scheduler, work: () => Promise<void>): Promise<void> {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
  };
  const newTimer = (): FakeTimer => {
    const timer: FakeTimer = { isCleared: false, ref: () => timer, unref: () => timer };
    return timer;
  };
  const clear = (timer: FakeTimer | undefined): void => {
    if (timer !== undefined) {
      timer.isCleared = true;
    }
  };
  Object.assign(globalThis, {
    setTimeout: (fire: (...given: unknown[]) => void, _delayMs: number, ...given: unknown[]) => {
      const timer = newTimer();
      void scheduler.schedule(Promise.resolve(), 'timer').then(() => timer.isCleared || fire(...given));
      return timer;
    },
    clearTimeout: clear,
    setInterval: newTimer,
    clearInterval: clear,
  });
  try {
    await work();
  } finally {
    Object.assign(globalThis, real);
  }
}
