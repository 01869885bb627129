import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { untilInvalidation } from '../support/channel-for-test.js';
import type { FaultProxy, TrafficFilter } from '../support/fault-proxy.js';
import { heardAll, ownRedis, podAt, proxyTo } from './pods.js';

/** The connections in the order in which a process opens them. */
const CONNECTIONS = ['the data connection', 'the subscriber'] as const;
const LANES = ['up', 'down'] as const;

interface Cut {
  readonly link: number;
  readonly lane: 'up' | 'down';
  /** The piece of traffic before which the connection is reset, counted from 1. */
  readonly step: number;
}

/** Resets one connection before a piece of traffic is delivered, once. @returns how many connections there were by then, if it has come to that */
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

/** Until then a cut may have come so late that nobody has noticed it. */
async function untilConnectedAgain(proxy: FaultProxy, openedBefore: number): Promise<void> {
  await vi.waitFor(() => expect(proxy.opened).toBeGreaterThan(openedBefore));
}

describe('a connection that is cut while the invalidation channel is set up', () => {
  const cases = CONNECTIONS.flatMap((name, link) => LANES.map((lane) => [name, lane, link] as const));

  it.each(cases)(
    'leaves no change unheard and ends in a live channel, at each step in turn: %s, %s',
    async (_name, lane, link) => {
      const server = await ownRedis();
      const writer = await podAt(server.port);
      await untilInvalidation(writer.all, 'live');
      const deepest = 9;
      // More come as a rule. How many depends on what goes out in one piece; the data connection has its heartbeats as well.
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
            await pod.cache.get(key); // is kept in L1 whenever that is trusted
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
        await heardAll(pod, (marker) => server.command('DEL', `cache:users:${marker}`));
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
