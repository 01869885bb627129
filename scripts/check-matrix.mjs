/**
 * `npm run check:matrix`: the packed library under the tools of its users: test runners, bundlers, the templates of
 * `nest new`, versions of TypeScript. `npm run check:packages` does the quick part of it. Needs a build. Each check is
 * one line; the first broken one ends the run.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installApp, nodeOf, packLibrary, runApp, runScript, workFolder } from './packed-apps.mjs';
import { check, runCommand } from './run-command.mjs';

const LIBRARY = 'nestjs-distributed-cache';
/** TypeScript 7 has no node10 any more, and 6 warns of it. */
const RESOLUTIONS = [
  { module: 'commonjs', resolution: 'node10', apps: ['nest11-cjs'], versions: ['5.1', '5.4', '5.9', '6.0'] },
  { module: 'node16', resolution: 'node16', apps: ['nest11-cjs', 'nest12-esm'] },
  { module: 'nodenext', resolution: 'nodenext', apps: ['nest11-cjs', 'nest12-esm'] },
  { module: 'esnext', resolution: 'bundler', apps: ['nest11-cjs', 'nest12-esm'] },
];
const ALL_VERSIONS = ['5.1', '5.4', '5.9', '6.0', '7.0'];

const folder = workFolder();
check('the library packs', () => void packLibrary(folder));

checkNewApps();
checkTools();
checkTypeScripts();

/** Every template of `nest new`: `nest build`, the built application, its spec and its e2e spec. */
function checkNewApps() {
  // jest loads Nest 12, which is ESM, from Node 24.9 on.
  const node24 = nodeOf('24', folder);
  for (const { name, node } of [
    { name: 'nest11-new', node: process.execPath },
    { name: 'nest11-new', node: node24 },
    { name: 'nest12-new', node: process.execPath },
    { name: 'nest12-new', node: node24 },
    { name: 'nest12-new-cjs', node: node24 },
  ]) {
    check(`${name}: nest build, start, spec and e2e spec`, () => {
      installApp({ name, build: 'nest' }, folder);
      runApp({ name, files: ['dist/main.js'] }, folder, node);
      runScript(name, folder, 'test', node);
      runScript(name, folder, 'test:e2e', node);
      return `Node ${runCommand(node, ['--version']).trim()}`;
    });
  }
}

/** The other test runners, builders and bundlers, on the Nest 11 application. */
function checkTools() {
  const name = 'nest11-tools';
  check(`${name}: installs`, () => installApp({ name, build: 'nest' }, folder));
  for (const script of ['test:swc-jest', 'test:jest-esm', 'test:tsx', 'test:vitest', 'test:node']) {
    check(`${name}: ${script}`, () => void runScript(name, folder, script));
  }
  check(`${name}: esbuild bundles it without a warning about the library`, () => {
    refuseWarnings(runScript(name, folder, 'build:esbuild'));
  });
  check(`${name}: webpack bundles it for production without a warning about the library`, () => {
    refuseWarnings(runScript(name, folder, 'build:webpack'));
  });
  for (const file of ['esbuild.cjs', 'esbuild.mjs', 'esbuild.state.mjs', 'webpack.cjs', 'webpack.state.cjs']) {
    check(`${name}: ${file} runs without node_modules`, () => runAlone(join(folder, name, 'bundles'), file));
  }
  for (const script of ['build:nest-webpack', 'build:swc']) {
    check(`${name}: ${script}, and the result runs`, () => {
      runScript(name, folder, script);
      runApp({ name, files: ['dist/main.js'] }, folder);
    });
  }
}

/** Each version of TypeScript with each kind of resolution, declarations of the library included. */
function checkTypeScripts() {
  check('versions of TypeScript: install', () => installApp({ name: 'typescripts' }, folder));
  for (const name of ['nest11-cjs', 'nest12-esm']) {
    check(`${name}: installs and compiles`, () => installApp({ name, build: 'tsc' }, folder));
  }
  for (const { module, resolution, apps, versions = ALL_VERSIONS } of RESOLUTIONS) {
    for (const [name, version] of apps.flatMap((app) => versions.map((each) => [app, each]))) {
      check(`${name}: TypeScript ${version}, ${module}, ${resolution}, skipLibCheck: false`, () => {
        const tsc = join(folder, 'typescripts/node_modules', `ts${version}`, 'bin/tsc');
        const flags = ['--noEmit', '--skipLibCheck', 'false', '--module', module, '--moduleResolution', resolution];
        const deprecations = version === '6.0' ? ['--ignoreDeprecations', '6.0'] : [];
        runCommand(process.execPath, [tsc, '-p', '.', ...flags, ...deprecations], { cwd: join(folder, name) });
      });
    }
  }
}

/** @param {string} output */
function refuseWarnings(output) {
  if (output.includes(`node_modules/${LIBRARY}/`)) {
    throw new Error(output);
  }
}

/**
 * Runs a bundle where it finds no package.
 * @param {string} from
 * @param {string} file
 */
function runAlone(from, file) {
  const alone = mkdtempSync(join(tmpdir(), 'packed-bundle-'));
  try {
    cpSync(join(from, file), join(alone, file));
    runCommand(process.execPath, [file], { cwd: alone, timeoutMs: 60_000, env: { NODE_OPTIONS: '' } });
  } finally {
    rmSync(alone, { recursive: true, force: true });
  }
}
