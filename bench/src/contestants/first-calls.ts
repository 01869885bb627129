import type { Entrant } from '../measure/contestant.js';
import type { DataSource } from '../support/data-source.js';
import { localHitEntrants } from './local-hit.js';
import { missEntrants, readEntrants, writeEntrants } from './two-tier-calls.js';

/** The contestants of each operation whose first calls are measured. */
export const FIRST_CALLS = {
  l1: localHitEntrants,
  l2: (port: number, { load }: DataSource) => readEntrants(port, load),
  set: writeEntrants,
  miss: (port: number, { load }: DataSource) => missEntrants(port, load),
} satisfies Record<string, (port: number, source: DataSource) => Entrant[]>;

export type Operation = keyof typeof FIRST_CALLS;
