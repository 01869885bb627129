/** One scenario in this process: `node dist/run-scenario.js --only l1`, for instance under `--cpu-prof`. */
import { tableText } from './report/text-table.js';
import { SCENARIOS } from './scenarios/index.js';
import { readCommandLine } from './support/command-line.js';

const { only, quick, seed } = readCommandLine(process.argv.slice(2));
const scenario = SCENARIOS.find(({ id }) => id === only[0]);
if (scenario === undefined) {
  throw new Error(`--only must be one of ${SCENARIOS.map(({ id }) => id).join(', ')}`);
}
const leave = () => process.exit(1); // the parent process is gone
process.once('disconnect', leave);
const tables = await scenario.run({ quick, seed });
if (process.send === undefined) {
  console.log(tables.map(tableText).join('\n'));
} else {
  process.send(tables, () => {
    process.off('disconnect', leave);
    process.disconnect();
  });
}
