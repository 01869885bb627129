/**
 * `npm run check:relay -- --seed 7`: two regions, 10,000 deletions and 100 purges of tags under faults. Ends with exit code 1
 * if an entry differs from the source three seconds after the last fault, or a change has arrived twice in a calm time.
 */
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';

const { values } = parseArgs({ options: { seed: { type: 'string' } } });
const seed = Number(values.seed ?? randomInt(2 ** 31));
console.log(`seed ${seed}`);
const { module } = await runnerImport(fileURLToPath(new URL('faulty-regions.ts', import.meta.url)), {
  configFile: false,
  logLevel: 'warn',
});
const { lines, complaints } = await module.faultyRegions({ keys: 1000, deletions: 10_000, purges: 100, seed });
console.log(lines.join('\n'));
for (const complaint of complaints) {
  console.error(`BROKEN: ${complaint}`);
}
// An explicit exit: what hangs would give no result.
process.exit(complaints.length > 0 ? 1 : 0);
