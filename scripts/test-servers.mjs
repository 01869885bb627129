/**
 * `npm run test:servers`: the tests that talk to Redis, the fault matrix in short and a short soak, on the installed `redis-server`
 * and on every other server that Debian's suites bring. `--only <part of a name>` runs some of them.
 * A server that can't be had is left out and named. On Debian the command fails when that leaves only the installed one.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DEBIAN_SERVERS, isDebian, provideServer, versionOf } from './debian-servers.mjs';
import { findRedisServer } from './find-redis.mjs';
import { root } from './packed-apps.mjs';
import { runCommand } from './run-command.mjs';

/** @typedef {{ name: string, program: string, version: string }} FoundServer */
/** @typedef {{ title: string, args: string[], env?: NodeJS.ProcessEnv }} Step */

const INSTALLED = 'installed';
const STEP_LIMIT_MS = 240_000;
const VITEST = join(root, 'node_modules/vitest/vitest.mjs');
/** What depends on the server's own behaviour: parts of paths. */
const SPECS = [
  'test/contract/',
  'test/races/',
  ...['redis-tier', 'cluster', 'sentinel', 'transaction', 'write-faults'].map((name) => `src/redis/${name}.`),
  ...['coherence', 'announcements', 'leases', 'tags', 'batches'].map((name) => `src/core/${name}.`),
];
/** @type {readonly Step[]} */
const STEPS = [
  { title: 'tests', args: [VITEST, 'run', '--project', 'all', ...SPECS] },
  { title: 'faults', args: [VITEST, 'run', '--project', 'chaos', 'test/chaos/'], env: { FAULT_MATRIX: 'short' } },
  { title: 'soak', args: [join(root, 'test/chaos/soak.mjs'), '--seconds', '10'] },
];

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const isAsked = (/** @type {string} */ name) => name.toLowerCase().includes(values.only.toLowerCase());
/** @type {string[]} */
const leftOut = [];
const others = DEBIAN_SERVERS.filter(({ name }) => isAsked(name)).flatMap((server) =>
  found(server.name, () => provideServer(server, join(root, '.cache/servers'))),
);
const servers = [...(isAsked(INSTALLED) ? found(INSTALLED, installed) : []), ...others];
const results = servers.map(testOn);

console.log(`\n${[...results.map(({ line }) => line), ...leftOut].join('\n')}`);
if (others.length === 0 && values.only === '' && isDebian()) {
  console.error('Only the installed server was tested, and this is Debian, where others can be had.');
  process.exitCode = 1;
}
if (servers.length === 0 || results.some(({ isBroken }) => isBroken)) {
  process.exitCode = 1;
}

/**
 * @param {string} name
 * @param {() => string} provide
 * @returns {FoundServer[]} none when it can't be had
 */
function found(name, provide) {
  try {
    const program = provide();
    const version = versionOf(program);
    console.log(`${name}: ${version}`);
    return [{ name, program, version }];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
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
  const startedAtMs = Date.now();
  const broken = STEPS.filter((step) => !passes(name, program, step)).map(({ title }) => title);
  const outcome = broken.length === 0 ? 'passed' : `FAILED (${broken.join(', ')})`;
  const seconds = Math.round((Date.now() - startedAtMs) / 1000);
  return { isBroken: broken.length > 0, line: `${name.padEnd(12)} ${outcome}, ${seconds} s, ${version}` };
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
