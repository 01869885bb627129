import { expect, it } from 'vitest';
import { Companions } from '../../../libs/distributed-cache/src/core/companions.js';
import { LocalCache } from '../../../libs/distributed-cache/src/local/index.js';
import { generateTraces, sessionTrace, type Trace } from './traces.js';

const CLOCK = { nowMs: () => 0 };
const LIFE = { ttlMs: 3_600_000 };
const VALUE = { value: 'x', bytes: 100, form: 'plain' } as const;

/** Replays a trace over L1 and, as every key is in the lower tier, without Redis. Figures are in % of the requests. */
function replay({ requests }: Trace, reads: boolean) {
  const maxEntries = Math.round(new Set(requests.map(({ key }) => key)).size * 0.05);
  const local = new LocalCache({ maxEntries, clock: CLOCK });
  const part = local.partition(() => true);
  const counts = { read: 0, used: 0, wasted: 0 };
  const companions = new Companions(
    { confidence: 0.5, most: 4 },
    () => part.entryCount,
    (what) => counts[what]++,
  );
  let hits = 0;
  for (const { key } of requests) {
    if (part.find(key, 0) !== undefined) {
      hits++;
      continue;
    }
    const others = companions.after(key, (other) => !part.hasFresh(other, 0));
    part.put(key, VALUE, LIFE);
    for (const other of reads ? others : []) {
      part.put(other.key, VALUE, { ...LIFE, ahead: other });
    }
  }
  const { rows } = companions;
  local.clear();
  const share = (count: number): number => (count / requests.length) * 100;
  return { hits: share(hits), wasted: share(counts.wasted), used: counts.used / counts.read, rows, maxEntries };
}

it('companions bring ten points of hits to sessions, and nine of ten are used', () => {
  const trace = sessionTrace(3, 60_000, 1);
  const withThem = replay(trace, true);
  expect(withThem.hits - replay(trace, false).hits).toBeGreaterThan(10);
  expect(withThem.used).toBeGreaterThan(0.9);
  expect(withThem.rows).toBeLessThanOrEqual(20 * withThem.maxEntries);
});

it('they change nothing where no key follows from another', () => {
  const chosen = [...generateTraces(3, 60_000)].filter(({ name }) => /^(Zipf 0\.9|sessions, shuffled)$/.test(name));
  expect(chosen).toHaveLength(2);
  for (const trace of chosen) {
    const withThem = replay(trace, true);
    expect(Math.abs(withThem.hits - replay(trace, false).hits)).toBeLessThan(0.1);
    expect(withThem.wasted).toBeLessThan(0.5);
  }
});
