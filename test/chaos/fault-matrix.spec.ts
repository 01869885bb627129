import { afterAll, beforeAll, describe, it } from 'vitest';
import { DEADLINE_MS, LEASE_MS } from './fault-bench.js';
import { faultTable } from './fault-table.js';
import { groupFaults } from './group-faults.js';
import { MachineNoise } from './machine-noise.js';
import { BACK_LIMIT_MS, runFault, SLOW_MS, type FaultResult } from './run-fault.js';
import { networkFaults, serverFaults } from './server-faults.js';

/** The limit on a machine with other work. */
const SLACK_MS = 200;
/** So many calls may coincide with other work of the machine. */
const BUSY_CALLS = 3;
/** One fault of each kind, for a run beside many others: `FAULT_MATRIX=short`. */
const SHORT: ReadonlySet<string> = new Set([
  'Sentinel: master killed',
  'Cluster: master killed',
  'kill -9, down for 1.5 s',
  'password changed, connections killed',
  'out of memory (OOM)',
  'read-only (READONLY)',
  'CLIENT KILL TYPE pubsub',
  'FLUSHALL',
  'black hole for 1.5 s, then reset',
  'subscriber half-open',
]);
const ALL = [...groupFaults, ...serverFaults, ...networkFaults];
const FAULTS = process.env['FAULT_MATRIX'] === 'short' ? ALL.filter(({ name }) => SHORT.has(name)) : ALL;

const results = new Map<string, FaultResult>();
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

let noise: MachineNoise | undefined;

beforeAll(async () => {
  process.on('unhandledRejection', onRejection);
  noise = await MachineNoise.start();
});

afterAll(async () => {
  await noise?.stop();
  process.off('unhandledRejection', onRejection);
  const table = faultTable(FAULTS.flatMap(({ name }) => results.get(name) ?? []));
  process.stdout.write(`\n${table}\nunhandled rejections: ${rejections.length}\n\n`);
});

/** The defects of a result, in the words of the broken promise; usually none. */
function complaintsAbout(result: FaultResult): string[] {
  const { fault, errors, unsettled, longestNetMs, otherLongestNetMs, backMs, busyMs, ownStale, otherStale, diverged } =
    result;
  const { bystandersSlow = 0, bystandersServed = 1 } = result;
  // On a busy machine the number of slow calls has no meaning.
  const isQuiet = result.loopDelayMs < SLOW_MS && busyMs < SLOW_MS;
  const waitLimitMs = DEADLINE_MS + SLACK_MS;
  const otherLimitMs = waitLimitMs + (fault.orphansLeases ? LEASE_MS : 0);
  const findings: [isWrong: boolean, complaint: string][] = [
    [errors > 0, `${errors} callers got an error`],
    [unsettled > 0, `${unsettled} calls were never answered`],
    [longestNetMs > waitLimitMs, `a caller waited ${Math.round(longestNetMs)} ms for the cache`],
    [otherLongestNetMs > otherLimitMs, `a caller elsewhere waited ${Math.round(otherLongestNetMs)} ms`],
    [backMs === undefined || backMs > BACK_LIMIT_MS + SLACK_MS + 2 * busyMs, `Redis was used again after ${backMs} ms`],
    [isQuiet && bystandersSlow > BUSY_CALLS, `${bystandersSlow} callers waited for keys of other masters`],
    [isQuiet && bystandersServed < 0.5, `Redis served only ${bystandersServed} of the calls for keys of other masters`],
    [ownStale > 0, `${ownStale} reads contradicted their own process`],
    [otherStale > 0 && !fault.mayLoseWrites, `${otherStale} reads were out of date`],
    [diverged.length > 0 && !fault.mayLoseWrites, `${diverged.join(', ')} stayed out of date`],
  ];
  return findings.flatMap(([isWrong, complaint]) => (isWrong ? [complaint] : []));
}

describe.concurrent('a cache under each fault adds no error, no long wait and no stale value to a call', () => {
  it.for(FAULTS.map((fault) => [fault.name, fault] as const))(
    '%s',
    { timeout: 90_000 },
    async ([name, fault], { expect }) => {
      const result = await runFault(fault, noise!);
      results.set(name, result);
      expect(complaintsAbout(result)).toEqual([]);
    },
  );
});

describe('the process of the fault matrix', () => {
  it('has no unhandled rejection', ({ expect }) => {
    expect(results.size).toBeGreaterThan(0);
    expect(rejections).toEqual([]);
  });
});
