import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { MachineNoise } from '../chaos/machine-noise.js';
import { ownRedis } from '../support/redis-for-test.js';
import { type Demo, fewMails, startDemo } from './demo-for-test.js';
import { type Pair, PairedLoad } from './paired-load.js';

const CLIENTS = 20;
/** The default of `CACHE_DEADLINE_MS`. */
const DEADLINE_MS = 300;
/** The number of answers in each state of Redis. */
const ANSWERS = 300;

/** From the beginning of the fault until the demo detected it. */
interface Fault {
  readonly beganAtMs: number;
  readonly noticedAtMs: number;
}

async function untilHealthIs(demo: Demo, state: 'up' | 'degraded', seen: string[]): Promise<void> {
  await vi.waitFor(
    async () => {
      const { status, json } = await demo.ask('/health');
      const { cache } = json['details'] as { cache: { status: string } };
      seen.push(`${status} ${cache.status}`);
      expect(cache.status).toBe(state);
    },
    { timeout: 50_000, interval: 20 },
  );
}

/** The states that the cache of the demo emitted, in order. */
function statesOf({ cache: { events } }: Demo): string[] {
  const states: string[] = [];
  events.on('redisConnected', () => states.push('connected'));
  events.on('redisConnectionFailed', () => states.push('failed'));
  return states;
}

function withoutRepeats(values: readonly string[]): string[] {
  return values.filter((value, index) => value !== values[index - 1]);
}

describe('the demo under load', () => {
  it(
    'answers every request, and delays none twice, while Redis is refused, started, frozen, thawed, killed and started',
    { timeout: 180_000 },
    async () => {
      const server = await ownRedis();
      await server.killHard();

      const demo = await startDemo({ redis: { url: server.url } }, fewMails());
      const control = await startDemo({ redis: false }, fewMails());
      const load = new PairedLoad(demo, control);
      const noise = await MachineNoise.start();
      onTestFinished(() => noise.stop());
      onTestFinished(() => load.stop());
      const states = statesOf(demo);
      const health: string[] = [];
      const faults: Fault[] = [];
      const breakRedis = async (how: () => void | Promise<void>): Promise<void> => {
        const beganAtMs = performance.now();
        await how();
        await untilHealthIs(demo, 'degraded', health);
        faults.push({ beganAtMs, noticedAtMs: performance.now() });
        await load.answers(ANSWERS);
      };
      const mendRedis = async (how: () => void | Promise<void>): Promise<void> => {
        await how();
        await untilHealthIs(demo, 'up', health);
        await load.answers(ANSWERS);
      };

      await untilHealthIs(demo, 'degraded', health);
      load.start(CLIENTS);
      await load.answers(ANSWERS);
      await mendRedis(() => server.restart());
      await breakRedis(() => server.freeze());
      await mendRedis(() => server.thaw());
      await breakRedis(() => server.killHard());
      await mendRedis(() => server.restart());
      await load.stop();

      expect(load.pairs.filter(({ isRight }) => !isRight)).toEqual([]);
      expect(withoutRepeats(health)).toEqual([
        '200 degraded',
        '200 up',
        '200 degraded',
        '200 up',
        '200 degraded',
        '200 up',
      ]);
      // The failure at boot was emitted before the listener was added; from then on each change is emitted once.
      expect(withoutRepeats(states)).toEqual(states);
      expect([states[0], states.at(-1)]).toEqual(['connected', 'connected']);
      // Besides the two outages there are those of the machine: so long a wait for a healthy Redis counts as one, too.
      const outages = states.filter((state) => state === 'failed').length;
      expect(outages).toBeGreaterThanOrEqual(faults.length);
      expect(outages).toBeLessThanOrEqual(faults.length + noise.countOver(DEADLINE_MS / 2));

      // Slow: longer than the control's answer to the same request at the same time, and than the machine explains:
      // by its other work in the meantime, and by its effect on the control.
      const noiseMs = quantile(
        load.pairs.map(({ controlMs }) => controlMs),
        0.99,
      );
      const netMs = ({ excessMs, startedAtMs, endedAtMs }: Pair): number =>
        excessMs - noise.withinMs(startedAtMs, endedAtMs);
      const slow = load.pairs.filter((pair) => netMs(pair) > DEADLINE_MS / 2 + noiseMs);
      const slowByFault = faults.map(({ beganAtMs, noticedAtMs }) =>
        slow.filter(({ startedAtMs, endedAtMs }) => startedAtMs < noticedAtMs && endedAtMs > beganAtMs),
      );
      // A request that was under way at the beginning of the fault may have waited for Redis, once.
      expect(Math.max(...slowByFault.map(({ length }) => length))).toBeLessThanOrEqual(CLIENTS);
      expect(Math.max(0, ...slow.map(netMs))).toBeLessThan(DEADLINE_MS * 2 + noiseMs);
      // No other request did: neither before, nor during a known outage, nor during the recovery.
      expect(slow.filter((pair) => !slowByFault.flat().includes(pair))).toEqual([]);
    },
  );
});

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length * share)] ?? 0;
}
