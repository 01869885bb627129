/**
 * Writes `.env.example` and the tables of README.md and docs/configuration.md from the data that the library itself
 * uses. Needs `npm run build`. With `--check` nothing is written, and a file that would change is an error.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { renderEnvExample, renderEnvironmentTable, renderOptionsTable, replaceTable } from './render-tables.mjs';

const ROOT = new URL('../', import.meta.url);
const BUILT = new URL('libs/distributed-cache/dist/config/index.js', ROOT);

if (existsSync(BUILT)) {
  await main();
} else {
  console.error(`${fileURLToPath(BUILT)} is missing: run "npm run build" first`);
  process.exitCode = 1;
}

async function main() {
  const { ENVIRONMENT_VARIABLES, OPTION_LEVELS } = await import(BUILT.href);
  const isCheck = process.argv.includes('--check');
  const environment = renderEnvironmentTable(ENVIRONMENT_VARIABLES);
  const options = renderOptionsTable(OPTION_LEVELS);
  const withTables = (/** @type {string} */ text) =>
    replaceTable(replaceTable(text, 'environment', environment), 'options', options);

  const texts = new Map([['.env.example', renderEnvExample(ENVIRONMENT_VARIABLES)]]);
  for (const name of ['README.md', 'docs/configuration.md']) {
    const text = read(name);
    if (text !== undefined) {
      texts.set(name, withTables(text));
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
