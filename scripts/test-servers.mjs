/**
 * `npm run test:servers`: the tests that talk to Redis, the fault matrix in short and a short soak, on the installed `redis-server`
 * and on every other server that Debian's suites bring. `--only <part of a name>` runs some of them.
 * `--quick`, for `.ci/run`: the contract instead of all tests, a soak of five seconds, on the other servers only, since `npm test` takes
 * the installed one. After four and a half minutes no further server is begun.
 * A server that can't be had, or was not begun, is left out and named. Without `--quick` the command fails on Debian when that leaves only the
 * installed one.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DEBIAN_SERVERS, isDebian, provideServer, versionOf } from './debian-servers.mjs';
import { findRedisServer } from './find-redis.mjs';
import { root } from './packed-apps.mjs';
import { runCommand } from './run-command.mjs';

/** @typedef {{ name: string, program: string, version: string }} FoundServer */
/** @typedef {{ name: string, provide: () => string }} Candidate */
/** @typedef {{ title: string, args: string[], env?: NodeJS.ProcessEnv }} Step */

const INSTALLED = 'installed';
/** Ends a step that hangs; on a busy machine the tests take four minutes. */
const STEP_LIMIT_MS = 600_000;
const QUICK_LIMIT_MS = 270_000;
const QUICK_DOWNLOAD_LIMIT_MS = 40_000;
const VITEST = join(root, 'node_modules/vitest/vitest.mjs');
/** What depends on the server's own behaviour: parts of paths. */
const SPECS = [
  'test/contract/',
  'test/races/',
  ...['redis-tier', 'cluster', 'sentinel', 'send', 'entry-commands', 'write-faults'].map(
    (name) => `src/redis/${name}.`,
  ),
  ...['coherence', 'announcements', 'leases', 'tags', 'batches'].map((name) => `src/core/${name}.`),
];

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, quick: { type: 'boolean', default: false } },
});
/** @type {readonly Step[]} */
const STEPS = [
  values.quick
    ? { title: 'contract', args: [VITEST, 'run', '--project', 'all', 'test/contract/'] }
    : { title: 'tests', args: [VITEST, 'run', '--project', 'all', ...SPECS] },
  { title: 'faults', args: [VITEST, 'run', '--project', 'chaos', 'test/chaos/'], env: { FAULT_MATRIX: 'short' } },
  { title: 'soak', args: [join(root, 'test/chaos/soak.mjs'), '--seconds', values.quick ? '5' : '10'] },
];
const startedAtMs = Date.now();
const isAsked = (/** @type {Candidate} */ { name }) => name.toLowerCase().includes(values.only.toLowerCase());
/** @type {string[]} */
const leftOut = [];
const others = DEBIAN_SERVERS.map((server) => ({
  name: server.name,
  provide: () =>
    provideServer(server, join(root, '.cache/servers'), values.quick ? QUICK_DOWNLOAD_LIMIT_MS : undefined),
}));
const asked = [...(values.quick ? [] : [{ name: INSTALLED, provide: installed }]), ...others].filter(isAsked);
const results = asked.flatMap((server) => found(server).map(testOn));

console.log(`\n${[...results.map(({ line }) => line), ...leftOut].join('\n')}`);
if (results.every(({ name }) => name === INSTALLED) && values.only === '' && !values.quick && isDebian()) {
  console.error('Only the installed server was tested, and this is Debian, where others can be had.');
  process.exitCode = 1;
}
if ((results.length === 0 && !values.quick) || results.some(({ isBroken }) => isBroken)) {
  process.exitCode = 1;
}

/**
 * @param {Candidate} candidate
 * @returns {FoundServer[]} none when it can't be had, or not in time
 */
function found({ name, provide }) {
  try {
    if (values.quick && Date.now() - startedAtMs > QUICK_LIMIT_MS) {
      throw new Error(`${QUICK_LIMIT_MS / 60_000} minutes are over`);
    }
    const program = provide();
    const version = versionOf(program);
    console.log(`${name}: ${version}`);
    return [{ name, program, version }];
  } catch (error) {
    const lines = (error instanceof Error ? error.message : String(error)).split('\n');
    const reason = lines.find((line) => line.startsWith('E: ')) ?? lines[0]; // of what apt says, why it gave up
    leftOut.push(`${name.padEnd(12)} left out: ${reason}`);
    return [];
  }
}

function installed() {
  const program = findRedisServer();
  if (program === undefined) {
    throw new Error('no redis-server program; run `node scripts/ensure-redis.mjs`');
  }
  return program;
}

/** @param {FoundServer} server */
function testOn({ name, program, version }) {
  const begunAtMs = Date.now();
  const broken = STEPS.filter((step) => !passes(name, program, step)).map(({ title }) => title);
  const outcome = broken.length === 0 ? 'passed' : `FAILED (${broken.join(', ')})`;
  const seconds = Math.round((Date.now() - begunAtMs) / 1000);
  return { name, isBroken: broken.length > 0, line: `${name.padEnd(12)} ${outcome}, ${seconds} s, ${version}` };
}

/**
 * @param {string} name
 * @param {string} program
 * @param {Step} step
 */
function passes(name, program, { title, args, env }) {
  try {
    const said = runCommand(process.execPath, args, {
      cwd: root,
      timeoutMs: STEP_LIMIT_MS,
      env: { ...env, REDIS_SERVER_BIN: program, NO_COLOR: '1' },
    });
    console.log(`ok    ${name}: ${title} (${said.trim().split('\n').at(-1)})`);
    return true;
  } catch (error) {
    console.log(`FAIL  ${name}: ${title}`);
    console.error(error instanceof Error ? error.message : error);
    return false;
  }
}
