import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it, onTestFinished, vi, type MockInstance } from 'vitest';
import { type CacheEventMap, CacheEvents, DIAGNOSTICS_CHANNEL_PREFIX } from './cache-events.js';

const HIT: CacheEventMap['hit'] = { namespace: 'users', key: 'user:1', tier: 'local', state: 'fresh', ttlMs: 1 };

function warningsForTest(): MockInstance {
  return vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
}

/** Listens on the diagnostics channel of an event until the test ends. */
function channelForTest(name: string): unknown[] {
  const messages: unknown[] = [];
  const listener = (message: unknown): void => void messages.push(message);
  subscribe(DIAGNOSTICS_CHANNEL_PREFIX + name, listener);
  onTestFinished(() => void unsubscribe(DIAGNOSTICS_CHANNEL_PREFIX + name, listener));
  return messages;
}

describe('CacheEvents', () => {
  it('calls its listeners synchronously, in the order of their registration, with the same payload object', () => {
    const events = new CacheEvents();
    const received: unknown[] = [];
    events.on('hit', (event) => received.push(['first', event]));
    events.on('hit', (event) => received.push(['second', event]));
    events.on('miss', () => received.push('miss'));
    events.emit('hit', HIT);
    expect(received).toEqual([
      ['first', HIT],
      ['second', HIT],
    ]);
    expect((received[0] as unknown[])[1]).toBe(HIT);
  });

  it('does not call a listener that was removed', () => {
    const events = new CacheEvents();
    const [stays, leaves] = [vi.fn(), vi.fn()];
    events.on('clear', stays);
    const leave = events.on('clear', leaves);
    leave();
    leave();
    events.emit('clear', { namespace: 'users' });
    expect(stays).toHaveBeenCalledTimes(1);
    expect(leaves).not.toHaveBeenCalled();
    events.removeAll();
    events.emit('clear', { namespace: 'users' });
    expect(stays).toHaveBeenCalledTimes(1);
  });

  it('lets a listener be removed while it runs', () => {
    const events = new CacheEvents();
    const after = vi.fn();
    const leave = events.on('hit', () => leave());
    events.on('hit', after);
    events.emit('hit', HIT);
    events.emit('hit', HIT);
    expect(after).toHaveBeenCalledTimes(2);
  });

  it('runs a listener in the asynchronous context of the call', () => {
    const events = new CacheEvents();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    events.on('hit', () => seen.push(storage.getStore()));
    storage.run('request 1', () => events.emit('hit', HIT));
    expect(seen).toEqual(['request 1']);
  });

  it('warns of a listener that throws, once, and goes on with the others', () => {
    const warnings = warningsForTest();
    const events = new CacheEvents();
    const after = vi.fn();
    events.on('hit', () => {
      throw new TypeError('the value is secret');
    });
    events.on('hit', after);
    events.emit('hit', HIT);
    events.emit('hit', HIT);
    expect(after).toHaveBeenCalledTimes(2);
    expect(warnings.mock.calls).toEqual([
      ['A listener of the cache event "hit" threw TypeError', { code: 'CACHE_LISTENER_THREW' }],
    ]);
  });

  it('warns of a listener whose promise rejects, and leaves no rejection unhandled', async () => {
    const warnings = warningsForTest();
    const events = new CacheEvents();
    // oxlint-disable-next-line typescript/no-misused-promises -- users without this rule write it
    events.on('hit', async () => {
      await Promise.resolve();
      throw new RangeError('the value is secret');
    });
    events.emit('hit', HIT);
    await vi.waitFor(() => expect(warnings).toHaveBeenCalledTimes(1));
    expect(String(warnings.mock.calls[0]?.[0])).toBe('A listener of the cache event "hit" threw RangeError');
  });

  it('is observed only while the event has a listener', () => {
    const events = new CacheEvents();
    expect(events.isObserved('hit')).toBe(false);
    const leave = events.on('hit', () => {});
    expect(events.isObserved('hit')).toBe(true);
    expect(events.isObserved('miss')).toBe(false);
    leave();
    expect(events.isObserved('hit')).toBe(false);
  });

  it('publishes on the diagnostics channel of the event, and is observed while that has subscribers', () => {
    const events = new CacheEvents();
    const messages = channelForTest('hit');
    expect(events.isObserved('hit')).toBe(true);
    expect(events.isObserved('set')).toBe(false);
    events.emit('hit', HIT);
    events.emit('clear', { namespace: 'users' });
    expect(messages).toEqual([HIT]);
    expect(messages[0]).toBe(HIT);
  });

  it('keeps two buses apart, which share the diagnostics channels', () => {
    const [one, other] = [new CacheEvents(), new CacheEvents()];
    const received = vi.fn();
    one.on('hit', received);
    const messages = channelForTest('hit');
    other.emit('hit', HIT);
    expect(received).not.toHaveBeenCalled();
    expect(messages).toEqual([HIT]);
  });
});
