import { seededRandom, shuffled } from './random.js';
import { ratiosByRound, spreadOf, type Spread } from './statistics.js';

export interface Named {
  readonly name: string;
  readonly role: 'floor' | 'ours' | 'peer';
}

/** The figures of one turn of one contestant, by the name of the measure. */
export type Sample = Readonly<Record<string, number>>;

export interface RoundOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Rounds before the measured ones, in which V8 compiles the code. Default 0. */
  readonly warmUpRounds?: number;
}

/**
 * The contestants take turns, in a new order in each round, so a slow phase of the machine affects all of them.
 * @returns each contestant's samples, by round
 */
export async function takeTurns<C extends Named>(
  contestants: readonly C[],
  { rounds, seed, warmUpRounds = 0 }: RoundOptions,
  turn: (contestant: C, round: number) => Promise<Sample>,
): Promise<Map<C, Sample[]>> {
  const random = seededRandom(seed);
  const samples = new Map<C, Sample[]>(contestants.map((contestant) => [contestant, []]));
  for (let round = -warmUpRounds; round < rounds; round++) {
    for (const contestant of shuffled(contestants, random)) {
      const sample = await turn(contestant, round);
      if (round >= 0) {
        samples.get(contestant)?.push(sample);
      }
    }
  }
  return samples;
}

export interface Figure extends Named, Spread {}

/** One measure of every contestant as the ratio to the floor (the first contestant of that role) in the same round. */
export function ratiosToFloor<C extends Named>(samples: ReadonlyMap<C, readonly Sample[]>, measure: string): Figure[] {
  const floor = [...samples].find(([{ role }]) => role === 'floor');
  if (floor === undefined) {
    throw new RangeError('no contestant is the floor');
  }
  const floorFigures = figuresOf(floor[1], measure);
  return [...samples].map(([contestant, own]) =>
    figureOf(contestant, ratiosByRound(figuresOf(own, measure), floorFigures)),
  );
}

/** One measure of every contestant in its own unit, such as bytes or loader runs. */
export function plainFigures<C extends Named>(samples: ReadonlyMap<C, readonly Sample[]>, measure: string): Figure[] {
  return [...samples].map(([contestant, own]) => figureOf(contestant, figuresOf(own, measure)));
}

export function figureOf({ name, role }: Named, figures: readonly number[]): Figure {
  const { lower, median, upper } = spreadOf(figures);
  return { name, role, lower, median, upper };
}

function figuresOf(samples: readonly Sample[], measure: string): number[] {
  return samples.map((sample) => sample[measure] ?? Number.NaN);
}
