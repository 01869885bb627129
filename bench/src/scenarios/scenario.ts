import type { Figure } from '../measure/rounds.js';

export interface RunOptions {
  readonly seed: number;
  /** A smoke run: few rounds, to check that everything still runs. */
  readonly quick: boolean;
}

export interface Goal {
  /** The goal is met by a median of at most this. */
  readonly most: number;
  /** The name of the contestant that the goal applies to. Default: the first one whose role is `ours`. */
  readonly contestant?: string;
}

/** One table of figures. */
export interface Table {
  readonly id: string;
  readonly title: string;
  /** `x` is a ratio to the floor. */
  readonly unit: string;
  /** The measure, and what a figure of 1 is. Markdown. */
  readonly note: string;
  readonly figures: readonly Figure[];
  readonly goal?: Goal;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** Node flags of the process that runs it. */
  readonly flags?: readonly string[];
  /** The number of processes that run it, one after the other: see `middleOf`. Default 1. */
  readonly processes?: number;
  run(options: RunOptions): Promise<Table[]>;
}
