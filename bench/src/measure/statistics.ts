/** The median of a set of figures, with its quartiles. */
export interface Spread {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

/** Linear interpolation between the two nearest ranks. @throws RangeError for no figures, or a share outside 0 to 1 */
export function quantile(figures: readonly number[], share: number): number {
  if (figures.length === 0 || !(share >= 0 && share <= 1)) {
    throw new RangeError(`no quantile ${share} of ${figures.length} figures`);
  }
  const sorted = [...figures].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(figures: readonly number[]): number {
  return quantile(figures, 0.5);
}

export function spreadOf(figures: readonly number[]): Spread {
  return { lower: quantile(figures, 0.25), median: median(figures), upper: quantile(figures, 0.75) };
}

/**
 * The mean of the fastest tenth: the cost of a call without interruptions. The fastest call alone depends on chance,
 * and the mean of all calls depends on the other work of the machine.
 */
export function fastestTenth(figures: readonly number[]): number {
  const fastest = [...figures].sort((a, b) => a - b).slice(0, Math.max(1, Math.floor(figures.length / 10)));
  return fastest.reduce((sum, figure) => sum + figure, 0) / fastest.length;
}

/** Each figure over the floor's figure of the same round. @throws RangeError when the rounds differ in number */
export function ratiosByRound(figures: readonly number[], floor: readonly number[]): number[] {
  if (figures.length !== floor.length) {
    throw new RangeError(`${figures.length} rounds against ${floor.length} of the floor`);
  }
  return figures.map((figure, round) => figure / (floor[round] ?? Number.NaN));
}
