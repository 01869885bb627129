/**
 * `npm run test:node`: the packed library on every Node that it promises to support, then the test suite on each.
 * `--quick` runs only the codec's part of it, and that where Node has zstd.
 */
import { dirname, delimiter } from 'node:path';
import { APPS, ensureApps, nodeOf, root, runApp, workFolder } from './packed-apps.mjs';
import { check, runCommand } from './run-command.mjs';

const VERSIONS = ['20.19.0', '22', '24'];
const CODEC = [
  '--project',
  'all',
  'libs/distributed-cache/src/codec',
  'libs/distributed-cache/src/config/values.spec.ts',
];
const isQuick = process.argv.includes('--quick');
const folder = workFolder();

ensureApps(folder);
check('redis-server is there', () => void runCommand(process.execPath, ['scripts/ensure-redis.mjs'], { cwd: root }));

for (const version of VERSIONS) {
  let node = '';
  check(`Node ${version}: starts`, () => {
    node = nodeOf(version, folder);
    return runCommand(node, ['--version']).trim();
  });
  for (const app of APPS) {
    check(`Node ${version}: ${app.name} runs and ends by itself`, () => runApp(app, folder, node));
  }
  if (!isQuick) {
    check(`Node ${version}: the test suite passes`, () => suiteOn(node));
  } else if (hasZstd(node)) {
    check(`Node ${version}: the tests of the codec pass, with zstd`, () => suiteOn(node, CODEC));
  }
}

/** @param {string} node */
function hasZstd(node) {
  return runCommand(node, ['-p', "'zstdCompress' in require('zlib')"]).trim() === 'true';
}

/**
 * @param {string} node
 * @param {string[]} only arguments that choose tests; default: all
 */
function suiteOn(node, only = []) {
  const output = runCommand(node, ['node_modules/vitest/vitest.mjs', 'run', ...only], {
    cwd: root,
    timeoutMs: 900_000,
    // Tests that start a Node of their own start this one.
    env: { PATH: `${dirname(node)}${delimiter}${process.env.PATH}`, NO_COLOR: '1' },
  });
  return output.trim().split('\n').at(-1);
}
