import { allocation, cachedMethod, localHit } from './local-hit.js';
import { remoteHit, remoteHitLarge, remoteMany, write } from './remote-hit.js';
import type { Scenario } from './scenario.js';

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  localHit,
  cachedMethod,
  allocation,
  remoteHit,
  remoteHitLarge,
  remoteMany,
  write,
];
