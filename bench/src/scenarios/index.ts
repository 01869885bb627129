import { allocation, cachedMethod, localHit } from './local-hit.js';
import type { Scenario } from './scenario.js';

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [localHit, cachedMethod, allocation];
