import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { untilInvalidation } from '../support/channel-for-test.js';
import type { FaultProxy, TrafficFilter } from '../support/fault-proxy.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import { receivedAll, podAt } from './pods.js';

/** The connections in the order in which a process opens them. */
const CONNECTIONS = ['the data connection', 'the subscriber'] as const;
const LANES = ['up', 'down'] as const;

interface Cut {
  readonly link: number;
  readonly lane: 'up' | 'down';
  /** The piece of traffic before which the connection is reset, counted from 1. */
  readonly step: number;
}

/**
 * Resets one connection, once, before a piece of traffic is delivered. @returns how many connections existed then, if
 * the reset has happened
 */
function cutAt(proxy: FaultProxy, { link, lane, step }: Cut): () => number | undefined {
  let seen = 0;
  let openedBefore: number | undefined;
  const filter: TrafficFilter = (at, direction, chunk) => {
    if (at !== link || direction !== lane || ++seen !== step) {
      return chunk;
    }
    openedBefore = proxy.opened;
    return 'cut';
  };
  proxy.filter(filter);
  return () => openedBefore;
}

/** Before this a cut may have come too late to be noticed. */
async function untilConnectedAgain(proxy: FaultProxy, openedBefore: number): Promise<void> {
  await vi.waitFor(() => expect(proxy.opened).toBeGreaterThan(openedBefore));
}

describe('a process whose connection is cut during the setup of the invalidation channel', () => {
  const cases = CONNECTIONS.flatMap((name, link) => LANES.map((lane) => [name, lane, link] as const));

  it.each(cases)(
    'misses no change and ends in a live channel, at each step in turn: %s, %s',
    async (_name, lane, link) => {
      const server = await ownRedis();
      const writer = await podAt(server.port);
      await untilInvalidation(writer.all, 'live');
      const deepest = 9;
      // There are usually more, depending on how the traffic is split and on the heartbeats of the data connection.
      const surely = link === 0 ? 4 : 1;
      for (let step = 1; step <= deepest; step++) {
        const proxy = await proxyTo(server);
        const cut = cutAt(proxy, { link, lane, step });
        const key = `key${step}`;
        await writer.cache.set(key, 'old');
        const pod = await podAt(proxy.port);
        const over = new AbortController();
        const reading = (async () => {
          while (!over.signal.aborted) {
            await pod.cache.get(key); // L1 keeps it whenever it is usable
            await nextTurn();
          }
        })();
        await writer.cache.set(key, 'new');
        if (step <= surely) {
          await vi.waitFor(() => expect(cut()).toBeDefined());
        }
        await untilInvalidation(pod.all, 'live');
        proxy.filter(undefined);
        const openedBefore = cut();
        if (openedBefore !== undefined) {
          await untilConnectedAgain(proxy, openedBefore);
          await untilInvalidation(pod.all, 'live');
        }
        await receivedAll(pod, (marker) => server.command('DEL', `cache:users:${marker}`));
        expect(await pod.cache.get(key)).toBe('new');
        await writer.cache.set(key, 'newer');
        await vi.waitFor(async () => expect(await pod.cache.get(key)).toBe('newer'));
        over.abort();
        await reading;
        await pod.all.close();
      }
    },
    60_000,
  );
});
