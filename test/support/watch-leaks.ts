import { EventEmitter } from 'node:events';
import { Redis } from 'ioredis';
import { vi } from 'vitest';

/** The visible properties of a Node timer. */
interface Timer {
  readonly _destroyed: boolean;
  readonly _idleTimeout: number;
  readonly _onTimeout: unknown;
}

/** Timers that were started since then, anywhere in this process, and neither ran nor were cleared. */
export function watchTimers(): () => string[] {
  const started = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval')];
  return () =>
    started
      .flatMap(({ mock }) => mock.results.map(({ value }) => value as unknown as Timer))
      .filter((timer) => !timer._destroyed)
      .map((timer) => `${timer._idleTimeout} ms: ${String(timer._onTimeout)}`);
}

/**
 * The largest number of listeners of any one emitter (a client, a socket, the process) to which a listener was added
 * since then.
 */
export function watchListeners(): () => number {
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

/** The number of listeners of the client for each of its events. */
export function listenersOf(client: Redis): Record<string, number> {
  return Object.fromEntries(client.eventNames().map((name) => [String(name), client.listenerCount(name)]));
}
