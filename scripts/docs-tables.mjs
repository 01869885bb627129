/**
 * Writes `.env.example` and the tables of docs/configuration.md, docs/metrics.md and docs/warm-up.md from the data that the
 * library itself uses, and the version of package.json into the library. Needs `npm run build`. With `--check` nothing is written, and a file that would change is an error.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  renderCountersTable,
  renderEnvExample,
  renderEnvironmentTable,
  renderOptionsTable,
  renderPrometheusTable,
  replaceTable,
} from './render-tables.mjs';

const ROOT = new URL('../', import.meta.url);
const BUILT = new URL('libs/distributed-cache/dist/', ROOT);

if (existsSync(BUILT)) {
  await main();
} else {
  console.error(`${fileURLToPath(BUILT)} is missing: run "npm run build" first`);
  process.exitCode = 1;
}

async function main() {
  const { ENVIRONMENT_VARIABLES, OPTION_LEVELS } = await import(new URL('config/index.js', BUILT).href);
  const { COUNTERS, GAUGES, HISTOGRAMS, PROCESS_COUNTERS, PROCESS_GAUGES } = await import(
    new URL('events/index.js', BUILT).href
  );
  const isCheck = process.argv.includes('--check');
  const tables = {
    environment: renderEnvironmentTable(ENVIRONMENT_VARIABLES),
    options: renderOptionsTable(OPTION_LEVELS),
    warmUp: renderOptionsTable(
      OPTION_LEVELS.filter((/** @type {{ path: string }} */ { path }) => path.startsWith('warmUp.')),
    ),
    counters: renderCountersTable({ ...COUNTERS, ...GAUGES }),
    process: renderCountersTable({ ...PROCESS_COUNTERS, ...PROCESS_GAUGES }),
    prometheus: renderPrometheusTable({
      counters: COUNTERS,
      gauges: GAUGES,
      processCounters: PROCESS_COUNTERS,
      processGauges: PROCESS_GAUGES,
      histograms: HISTOGRAMS,
    }),
  };

  const texts = new Map([['.env.example', renderEnvExample(ENVIRONMENT_VARIABLES)]]);
  const { version } = JSON.parse(read('libs/distributed-cache/package.json') ?? '{}');
  const withVersion = 'libs/distributed-cache/src/events/process-metrics.ts';
  const source = read(withVersion) ?? '';
  texts.set(withVersion, source.replace(/VERSION = '[^']*'/, `VERSION = '${version}'`));
  for (const name of ['docs/configuration.md', 'docs/metrics.md', 'docs/warm-up.md']) {
    const text = read(name);
    if (text !== undefined) {
      const entries = Object.entries(tables);
      texts.set(
        name,
        entries.reduce((written, [table, rows]) => replaceTable(written, table, rows), text),
      );
    }
  }
  for (const [name, text] of [...texts].filter(([path, wanted]) => read(path) !== wanted)) {
    if (isCheck) {
      console.error(`${name} is not up to date: run "node scripts/docs-tables.mjs"`);
      process.exitCode = 1;
    } else {
      writeFileSync(new URL(name, ROOT), text);
      console.log(`${name} written`);
    }
  }
}

/** @param {string} name */
function read(name) {
  const file = new URL(name, ROOT);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
