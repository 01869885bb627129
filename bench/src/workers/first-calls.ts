/** A process that makes the first calls of one contestant. */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { FIRST_CALLS, type Operation } from '../contestants/first-calls.js';
import { serialLoop } from '../measure/loops.js';
import { DataSource } from '../support/data-source.js';
import { answerParent } from '../support/workers.js';

export interface FirstCallsQuestion {
  readonly operation: Operation;
  readonly port: number;
  readonly contestant: string;
  readonly keyPrefix: string;
  readonly calls: number;
}

export interface FirstCallsAnswer {
  readonly msPerCall: number;
  /** Loader runs during the measured calls. */
  readonly loads: number;
}

/** Few keys, because each of them takes one call before the measured ones to get into memory. */
const KEYS_IN_MEMORY = 20;
/** Collections that the start of the process has caused end in this time; one of them takes as long as 2,000 L1 hits. */
const SETTLE_MS = 50;

answerParent(async (asked): Promise<FirstCallsAnswer> => {
  const { operation, port, contestant: name, keyPrefix, calls } = asked as FirstCallsQuestion;
  const source = new DataSource(operation === 'l1' ? KEYS_IN_MEMORY : calls, 1024, keyPrefix);
  const entrant = FIRST_CALLS[operation](port, source).find((each) => each.name === name);
  if (entrant === undefined) {
    throw new Error(`no contestant ${name} for ${operation}`);
  }
  const loop = serialLoop(await entrant.open());
  if (operation === 'l1') {
    await source.fill((key) => loop([key], 1));
  }
  const items = operation === 'set' ? source.keys.map((key) => ({ key, value: source.valueOf(key) })) : source.keys;
  await delay(SETTLE_MS);
  const loadsBefore = source.loads;
  const startedAtMs = performance.now();
  await (operation === 'miss' ? source.fill((key) => loop([key], 1)) : loop(items, calls));
  return { msPerCall: (performance.now() - startedAtMs) / calls, loads: source.loads - loadsBefore };
});
