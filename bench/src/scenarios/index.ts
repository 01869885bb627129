import { compression, smallCompression } from './compression.js';
import { firstCalls } from './first-calls.js';
import { growth } from './growth.js';
import { heap } from './heap.js';
import { http } from './http.js';
import { allocation, cachedMethod, localHit } from './local-hit.js';
import { outage } from './outage.js';
import { propagation } from './propagation.js';
import { remoteHit, remoteHitLarge, remoteMany, write } from './remote-hit.js';
import { clusterStorm, storm } from './storm.js';
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
  firstCalls,
  compression,
  smallCompression,
  storm,
  clusterStorm,
  outage,
  heap,
  propagation,
  growth,
  http,
];
