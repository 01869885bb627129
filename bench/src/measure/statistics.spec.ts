import { describe, expect, it } from 'vitest';
import { seededRandom, shuffled } from './random.js';
import { ratiosToFloor, takeTurns, type Named } from './rounds.js';
import { fastestTenth, median, quantile, ratiosByRound, spreadOf } from './statistics.js';

describe('quantile', () => {
  it('interpolates between the nearest ranks, in any order of the figures', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([10, 0], 0.25)).toBe(2.5);
    expect(spreadOf([5, 1, 4, 2, 3])).toEqual({ lower: 2, median: 3, upper: 4 });
  });

  it('rejects an empty list and a share outside 0 to 1', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError);
    expect(() => quantile([1], 1.1)).toThrow(RangeError);
    expect(() => quantile([1], Number.NaN)).toThrow(RangeError);
  });
});

describe('fastestTenth', () => {
  it('is the mean of the fastest tenth, and of at least one figure', () => {
    expect(fastestTenth([9, 3, 7])).toBe(3);
    expect(fastestTenth(Array.from({ length: 20 }, (_, at) => 20 - at))).toBe(1.5);
  });
});

describe('ratiosByRound', () => {
  it('divides by the figure of the same round', () => {
    expect(ratiosByRound([2, 30], [1, 10])).toEqual([2, 3]);
  });

  it('rejects different numbers of rounds', () => {
    expect(() => ratiosByRound([1], [1, 2])).toThrow(RangeError);
  });
});

describe('shuffled', () => {
  it('keeps all items, in an order that depends on the seed alone', () => {
    const items = Array.from({ length: 50 }, (_, at) => at);
    const first = shuffled(items, seededRandom(7));
    expect(first).not.toEqual(items);
    expect([...first].sort((a, b) => a - b)).toEqual(items);
    expect(shuffled(items, seededRandom(7))).toEqual(first);
    expect(shuffled(items, seededRandom(8))).not.toEqual(first);
  });
});

describe('takeTurns', () => {
  const contestants: Named[] = [
    { name: 'floor', role: 'floor' },
    { name: 'a', role: 'peer' },
    { name: 'b', role: 'ours' },
  ];

  it('gives each contestant one turn per round and drops the rounds of the warm-up', async () => {
    const turns: [string, number][] = [];
    const samples = await takeTurns(contestants, { rounds: 3, warmUpRounds: 2, seed: 1 }, async ({ name }, round) => {
      turns.push([name, round]);
      return { round };
    });
    expect(turns).toHaveLength(15);
    for (const [, own] of samples) {
      expect(own.map(({ round }) => round)).toEqual([0, 1, 2]);
    }
  });

  it('cancels a slowdown of a whole round', async () => {
    const cost: Record<string, number> = { floor: 1, a: 4, b: 1.5 };
    const samples = await takeTurns(contestants, { rounds: 5, seed: 1 }, async ({ name }, round) => ({
      time: (cost[name] ?? 0) * (round === 3 ? 100 : 1),
    }));
    const figures = ratiosToFloor(samples, 'time');
    expect(figures.map(({ name, lower, median: middle, upper }) => [name, lower, middle, upper])).toEqual([
      ['floor', 1, 1, 1],
      ['a', 4, 4, 4],
      ['b', 1.5, 1.5, 1.5],
    ]);
  });

  it('rejects ratios without a floor', () => {
    expect(() => ratiosToFloor(new Map([[contestants[1] as Named, [{ time: 1 }]]]), 'time')).toThrow(RangeError);
  });
});
