import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { dieWithThisProcess } from '../../test/support/child-guard.mjs';
import { goalsText, writeResults } from './report/results-file.js';
import { tableText } from './report/text-table.js';
import { middleOf } from './report/middle-of.js';
import { SCENARIOS } from './scenarios/index.js';
import type { Scenario, Table } from './scenarios/scenario.js';
import { readCommandLine, type CommandLine } from './support/command-line.js';

const RUNNER = fileURLToPath(new URL('run-scenario.js', import.meta.url));

const commandLine = readCommandLine(process.argv.slice(2));
const chosen = SCENARIOS.filter(({ id }) => commandLine.only.length === 0 || commandLine.only.includes(id));
console.log(`Seed ${commandLine.seed}, ${chosen.length} of ${SCENARIOS.length} scenarios\n`);
const tables: Table[] = [];
for (const scenario of chosen) {
  const startedAtMs = performance.now();
  const runs: Table[][] = [];
  for (let run = 0; run < (commandLine.quick ? 1 : (scenario.processes ?? 1)); run++) {
    runs.push(await runInOwnProcess(scenario, { ...commandLine, seed: commandLine.seed + run }));
  }
  const own = middleOf(runs);
  console.log(own.map(tableText).join('\n'));
  console.log(`(${scenario.id}: ${Math.round((performance.now() - startedAtMs) / 1000)} s)\n`);
  tables.push(...own);
}
console.log(goalsText(tables));
if (commandLine.only.length === 0 && !commandLine.quick) {
  writeResults({ seed: commandLine.seed, tables });
  console.log('\nWritten: bench/RESULTS.md, bench/plots/ and the table of README.md');
}

/** A scenario leaves a heap, promise hooks and compiled code behind. They would change the figures of the next one. */
async function runInOwnProcess({ id, flags = [] }: Scenario, { quick, seed }: CommandLine): Promise<Table[]> {
  const args = ['--only', id, '--seed', String(seed), ...(quick ? ['--quick'] : [])];
  const child = fork(RUNNER, args, { execArgv: [...flags], serialization: 'advanced' });
  dieWithThisProcess(child);
  let result: Table[] | undefined;
  child.once('message', (message) => (result = message as Table[]));
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  if (exitCode !== 0 || result === undefined) {
    throw new Error(`scenario ${id} ended with ${exitCode} and ${result === undefined ? 'no' : 'a'} result`);
  }
  return result;
}
