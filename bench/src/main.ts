import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { dieWithThisProcess } from '../../test/support/child-guard.mjs';
import { tableText } from './report/text-table.js';
import { SCENARIOS } from './scenarios/index.js';
import type { Scenario, Table } from './scenarios/scenario.js';
import { readCommandLine, type CommandLine } from './support/command-line.js';

const RUNNER = fileURLToPath(new URL('run-scenario.js', import.meta.url));

const commandLine = readCommandLine(process.argv.slice(2));
const chosen = SCENARIOS.filter(({ id }) => commandLine.only.length === 0 || commandLine.only.includes(id));
console.log(`Seed ${commandLine.seed}, ${chosen.length} of ${SCENARIOS.length} scenarios\n`);
for (const scenario of chosen) {
  const tables = await runInOwnProcess(scenario, commandLine);
  console.log(tables.map(tableText).join('\n'));
}

/**
 * What one scenario leaves behind in a process (a heap, hooks on promises, types that the compiler has seen) would be
 * in the figures of the next.
 */
async function runInOwnProcess({ id, flags = [] }: Scenario, { quick, seed }: CommandLine): Promise<Table[]> {
  const args = ['--only', id, '--seed', String(seed), ...(quick ? ['--quick'] : [])];
  const child = fork(RUNNER, args, { execArgv: [...flags] });
  dieWithThisProcess(child);
  let tables: Table[] | undefined;
  child.once('message', (message) => (tables = message as Table[]));
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  if (exitCode !== 0 || tables === undefined) {
    throw new Error(`scenario ${id} ended with ${exitCode} and ${tables === undefined ? 'no' : 'a'} result`);
  }
  return tables;
}
