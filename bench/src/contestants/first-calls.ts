import type { Entrant } from '../measure/contestant.js';
import type { Shelf } from '../support/shelf.js';
import { localHitEntrants } from './local-hit.js';
import { missEntrants, readEntrants, writeEntrants } from './two-tier-calls.js';

/** The contestants of each operation whose first calls are measured. */
export const FIRST_CALLS = {
  l1: localHitEntrants,
  l2: (port: number, { load }: Shelf) => readEntrants(port, load),
  set: writeEntrants,
  miss: (port: number, { load }: Shelf) => missEntrants(port, load),
} satisfies Record<string, (port: number, shelf: Shelf) => Entrant[]>;

export type Operation = keyof typeof FIRST_CALLS;
