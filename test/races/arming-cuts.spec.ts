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

/** Resets one connection before a piece of traffic is delivered, once. @returns whether it has come to that */
function cutAt(proxy: FaultProxy, { link, lane, step }: Cut): () => boolean {
  let seen = 0;
  const filter: TrafficFilter = (at, direction, chunk) => {
    if (at !== link || direction !== lane || ++seen !== step) {
      return chunk;
    }
    return 'cut';
  };
  proxy.filter(filter);
  return () => seen >= step;
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
      const cuts: boolean[] = [];
      for (let step = 1; step <= deepest; step++) {
        const proxy = await proxyTo(server);
        const wasCut = cutAt(proxy, { link, lane, step });
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
        await untilInvalidation(pod.all, 'live');
        proxy.filter(undefined);
        await heardAll(pod, (marker) => server.command('DEL', `cache:users:${marker}`));
        expect(await pod.cache.get(key)).toBe('new');
        await writer.cache.set(key, 'newer');
        await vi.waitFor(async () => expect(await pod.cache.get(key)).toBe('newer'), { timeout: 5000 });
        over.abort();
        await reading;
        await pod.all.close();
        cuts.push(wasCut());
      }
      // The subscriber sends one write; what is answered may arrive in one piece or several.
      expect(cuts.filter((wasCut) => wasCut).length).toBeGreaterThanOrEqual(link === 0 ? 4 : 1);
    },
    60_000,
  );
});
