/**
 * `npm run check:mutants`: takes each remedy for a race out of a copy of the sources, or turns a rule of HTTP wrong, and asks
 * whether a test notices.
 * A mutant that survives is something that nothing guards; one whose place is not found any more has to follow the code.
 * `--only <part of a name>` runs some of them. The working tree is never touched.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { RULE_MUTANTS } from '../test/http/rule-mutants.mjs';
import { MUTANTS } from '../test/races/mutants.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sources = join(root, 'libs/distributed-cache/src');
const folder = join(root, 'node_modules/.cache/ndc-mutants');
const SOURCES = readdirSync(sources, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'))
  .map((file) => ({ file, text: readFileSync(join(sources, file), 'utf8') }));
const AT_ONCE = 2;
const LIMIT_MS = 90_000;
const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : '';

/**
 * The statement after the comment `remedy: <name>`, in Lua the line after it.
 * @param {string} remedy
 * @returns {{ file: string, text: string, from: number, to: number }[]} the places: there must be one
 */
function placesOf(remedy) {
  return SOURCES.flatMap(({ file, text }) => {
    const found = new RegExp(`^ *(//|--) remedy: ${remedy}$`, 'm').exec(text);
    if (found === null) {
      return [];
    }
    const after = found.index + found[0].length + 1;
    return [{ file, text, ...(found[1] === '--' ? lineAt(text, after) : statementAt(file, text, after)) }];
  });
}

function lineAt(text, from) {
  return { from, to: text.indexOf('\n', from) };
}

/** The outermost statement that begins first after a place. */
function statementAt(file, text, after) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  let first;
  const visit = (node) => {
    if (
      ts.isStatement(node) &&
      node.getStart() >= after &&
      (first === undefined || node.getStart() < first.getStart())
    ) {
      first = node;
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { from: first?.getStart() ?? after, to: first?.end ?? after };
}

/** @returns {Promise<{ outcome: 'killed' | 'survived' | 'lost', detail: string }>} */
async function tryOut({ name, remedy, file, from, to = '', specs = [], title = '' }) {
  const [place, ...others] = remedy === undefined ? wholeFile(file) : placesOf(remedy);
  if (place === undefined || others.length > 0) {
    return {
      outcome: 'lost',
      detail: `the sources hold the remedy ${remedy} ${place === undefined ? 0 : 1 + others.length} times`,
    };
  }
  const statement = place.text.slice(place.from, place.to);
  if (from !== undefined && statement.split(from).length !== 2) {
    return {
      outcome: 'lost',
      detail: `${remedy ?? 'the text'} in ${place.file} holds the text ${statement.split(from).length - 1} times`,
    };
  }
  const mutant = from === undefined ? '' : statement.replace(from, () => to);
  const copy = join(folder, name.replaceAll(/\W+/g, '-'));
  const isKept = (path) => !path.endsWith('.spec.ts') || path.includes('/http/');
  cpSync(sources, copy, { recursive: true, filter: isKept });
  writeFileSync(join(copy, place.file), place.text.slice(0, place.from) + mutant + place.text.slice(place.to));
  const report = join(copy, 'report.json');
  const paths =
    specs.length === 0
      ? [join(copy, place.file.replace(/\.ts$/, '.spec.ts'))]
      : specs.map((spec) => `test/${spec}.spec.ts`);
  await run(['vitest', 'run', ...paths, '-t', title, '--bail=1', '--reporter=json', `--outputFile=${report}`], {
    NDC_SRC: copy,
    MODEL_SCHEDULES: '5000',
  });
  const failed = failuresIn(report);
  return failed === undefined
    ? { outcome: 'killed', detail: 'the tests did not come to an end' }
    : failed.length > 0
      ? { outcome: 'killed', detail: failed[0] }
      : { outcome: 'survived', detail: `no test of ${paths.map((path) => relative(root, path)).join(', ')} failed` };
}

/** The place of a mutant that names its file instead of a remedy. */
function wholeFile(path) {
  const file = join('http', path);
  return SOURCES.filter((source) => source.file === file).map(({ text }) => ({ file, text, from: 0, to: text.length }));
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
const waiting = [...MUTANTS, ...RULE_MUTANTS].filter(({ name }) => name.includes(only));
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
