import { EventEmitter } from 'node:events';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { RedisServer } from '../../../../test/support/redis-server.js';

const CYCLES = 50;

/** What a timer of Node shows of itself. */
interface Timer {
  readonly _destroyed: boolean;
  readonly _idleTimeout: number;
  readonly _onTimeout: unknown;
}

/** Timers that were started since, by whomever in this process, and neither ran nor were cleared. */
function watchTimers(): () => string[] {
  const started = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval')];
  return () =>
    started
      .flatMap(({ mock }) => mock.results.map(({ value }) => value as unknown as Timer))
      .filter((timer) => !timer._destroyed)
      .map((timer) => `${timer._idleTimeout} ms: ${String(timer._onTimeout)}`);
}

/** The most listeners that any one emitter has (a client, a socket, the process), of all that were listened to since. */
function watchListeners(): () => number {
  const emitters = new Set<EventEmitter>([process]);
  // The client does not inherit `on` from EventEmitter, it has a copy.
  for (const prototype of [EventEmitter.prototype, Redis.prototype as unknown as EventEmitter]) {
    const on = Reflect.get(prototype, 'on') as (...args: unknown[]) => EventEmitter;
    vi.spyOn(prototype, 'on').mockImplementation(function (this: EventEmitter, event, listener) {
      emitters.add(this);
      return on.call(this, event, listener) as never;
    });
  }
  const countOf = (emitter: EventEmitter): number =>
    emitter.eventNames().reduce((sum, event) => sum + emitter.listenerCount(event), 0);
  return () => Math.max(...[...emitters].map(countOf));
}

describe('a Redis that is killed and started again fifty times', () => {
  it('is used again each time, and leaves no listener, timer or waiting call behind', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const timersLeft = watchTimers();
    const mostListeners = watchListeners();
    const all = cacheForTest({ redis: { url: server.url } });
    const cache = all.getCache<number>('numbers');
    const reconnected = vi.fn();
    all.events.on('fallbackOff', reconnected);
    expect(await cache.set('key', 0)).toBe(true);
    let [asked, answered] = [0, 0];
    const ask = (): void => {
      asked++;
      void cache.getOrSet(`key:${asked}`, () => asked).then(() => answered++);
    };
    const listeners: number[] = [];
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      ask();
      const restarted = server.restart();
      ask();
      await restarted;
      ask();
      await vi.waitFor(async () => expect(await cache.set('key', cycle)).toBe(true), { timeout: 5000, interval: 5 });
      listeners.push(mostListeners());
    }
    expect(reconnected).toHaveBeenCalledTimes(CYCLES);
    expect(await cache.get('key')).toBe(CYCLES);
    // One more a cycle would be fifty more.
    expect(Math.max(...listeners) - listeners[0]!).toBeLessThan(10);
    await vi.waitFor(() => expect(answered).toBe(asked));
    await all.close();
    // The test's own clients wait two seconds for their sockets.
    await vi.waitFor(() => expect(timersLeft()).toEqual([]), { timeout: 5000, interval: 50 });
  });
});
