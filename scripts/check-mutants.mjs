/**
 * `npm run check:mutants`: takes each remedy for a race out of a copy of the sources, and asks whether a test of test/races/
 * or the model notices.
 * A mutant that survives is a race that nothing guards; one whose text is not found any more has to follow the code.
 * `--only <part of a name>` runs some of them. The working tree is never touched.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MUTANTS } from '../test/races/mutants.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sources = join(root, 'libs/distributed-cache/src');
const folder = join(root, 'node_modules/.cache/ndc-mutants');
const AT_ONCE = 2;
const LIMIT_MS = 90_000;
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : '';

/** @returns {Promise<{ outcome: 'killed' | 'survived' | 'lost', detail: string }>} */
async function tryOut({ name, file, from, to, specs }) {
  const copy = join(folder, name.replaceAll(/\W+/g, '-'));
  cpSync(sources, copy, { recursive: true, filter: (path) => !path.endsWith('.spec.ts') });
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) {
    return { outcome: 'lost', detail: `${file} holds the text ${text.split(from).length - 1} times` };
  }
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  const report = join(copy, 'report.json');
  const args = ['vitest', 'run', ...specs.map((spec) => `test/${spec}.spec.ts`), '--bail=1'];
  await run([...args, '--reporter=json', `--outputFile=${report}`], { NDC_SRC: copy, MODEL_SCHEDULES: '5000' });
  const failed = failuresIn(report);
  return failed === undefined
    ? { outcome: 'killed', detail: 'the tests did not come to an end' }
    : failed.length > 0
      ? { outcome: 'killed', detail: failed[0] }
      : { outcome: 'survived', detail: `no test of ${specs.join(', ')} failed` };
}

function failuresIn(report) {
  let results;
  try {
    results = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return undefined; // stopped before it could write one
  }
  const tests = results.testResults.flatMap(({ assertionResults }) => assertionResults);
  if (tests.length === 0) {
    throw new Error('no test ran: a mutant that does not load proves nothing');
  }
  return tests.filter(({ status }) => status === 'failed').map(({ title }) => title);
}

function run(args, env) {
  return new Promise((resolve) => {
    const child = spawn('npx', args, { cwd: root, env: { ...process.env, ...env }, stdio: 'ignore', detached: true });
    const { pid } = child;
    const timer = setTimeout(() => pid !== undefined && process.kill(-pid, 'SIGKILL'), LIMIT_MS);
    child.on('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const waiting = MUTANTS.filter(({ name }) => name.includes(only));
let bad = 0;
async function work() {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const { outcome, detail } = await tryOut(mutant);
    bad += outcome === 'killed' ? 0 : 1;
    console.log(`${outcome.padEnd(9)} ${mutant.name.padEnd(52)} ${detail}`);
  }
}
const total = waiting.length;
await Promise.all(Array.from({ length: AT_ONCE }, work));
rmSync(folder, { recursive: true, force: true });
console.log(`${total - bad} of ${total} mutants killed`);
process.exit(bad === 0 && total > 0 ? 0 : 1);
