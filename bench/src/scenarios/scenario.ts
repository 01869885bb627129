import type { Figure } from '../measure/rounds.js';

/** What a run is allowed to take. */
export interface RunOptions {
  readonly seed: number;
  /** A smoke run: does it work, not how fast is it. */
  readonly quick: boolean;
}

export interface Goal {
  /** At most this is met. */
  readonly most: number;
  /** The contestant that has to meet it. Default: the one whose role is `ours`. */
  readonly contestant?: string;
}

/** One table of figures. */
export interface Table {
  readonly id: string;
  readonly title: string;
  /** `x`: times the floor. */
  readonly unit: string;
  /** What 1 is, or what else a reader must know. */
  readonly note: string;
  readonly figures: readonly Figure[];
  readonly goal?: Goal;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** Node flags of its process. */
  readonly flags?: readonly string[];
  /** So many processes run it, one after the other: see `middleOf`. Default 1. */
  readonly processes?: number;
  run(options: RunOptions): Promise<Table[]>;
}
