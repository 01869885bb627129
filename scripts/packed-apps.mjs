/** The packed library and the throw-away apps that install it: shared by check-packages and test-node. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, runCommand } from './run-command.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'test/packages');
const LIBRARY = join(root, 'libs/distributed-cache');

/**
 * Each runs its files one after the other; a file that fails or does not end by itself is a failure. The apps called
 * `...-new` are what `nest new` generates, with the service, the specs and the module of test/packages/new-app.
 */
export const APPS = [
  {
    name: 'nest11-cjs',
    build: 'tsc',
    files: ['require-entries.cjs', 'same-entries.mjs', 'one-state.mjs', 'dist/main.js'],
  },
  { name: 'nest12-esm', build: 'tsc', files: ['one-state.mjs', 'dist/main.js'] },
  { name: 'plain-node', files: ['main.mjs'] },
  { name: 'nest11-new', build: 'nest', files: ['dist/main.js'] },
];

/** The folder of the tarball and the apps: `PACKED_APPS_DIR`, which is kept, or a temporary one that is removed. */
export function workFolder() {
  if (process.env.PACKED_APPS_DIR) {
    mkdirSync(process.env.PACKED_APPS_DIR, { recursive: true });
    return process.env.PACKED_APPS_DIR;
  }
  const folder = mkdtempSync(join(tmpdir(), 'packed-apps-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** @param {string} folder */
export function tarballIn(folder) {
  return join(folder, 'nestjs-distributed-cache.tgz');
}

/**
 * Packs the built library as it would be published.
 * @param {string} folder
 */
export function packLibrary(folder) {
  const { exports: entries } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8'));
  const missing = filesOf(entries)
    .filter((file) => file.startsWith('./dist/'))
    .filter((file) => !existsSync(join(LIBRARY, file)));
  if (missing.length > 0) {
    throw new Error(`libs/distributed-cache lacks ${missing.join(', ')}: run \`npm run build\` first`);
  }
  const [packed] = JSON.parse(
    runCommand('npm', ['pack', LIBRARY, '--json', '--pack-destination', folder], { cwd: folder }),
  );
  renameSync(join(folder, packed.filename), tarballIn(folder));
  return packed.files.map((/** @type {{ path: string }} */ file) => file.path);
}

/**
 * The files that the conditions of `exports` name.
 * @param {string | object} entry
 * @returns {string[]}
 */
function filesOf(entry) {
  return typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(filesOf);
}

/**
 * Installs and compiles one app from the tarball.
 * @param {{ name: string, build?: string }} app
 * @param {string} folder
 */
export function installApp({ name, build }, folder) {
  const appFolder = join(folder, name);
  rmSync(appFolder, { recursive: true, force: true });
  cpSync(join(sources, name), appFolder, { recursive: true });
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  runCommand('npm', ['install', ...quietly], { cwd: appFolder });
  if (build !== undefined) {
    cpSync(join(sources, 'one-state'), appFolder, { recursive: true });
  }
  if (build === 'nest') {
    copyNewApp(appFolder);
    runScript(name, folder, 'build');
  } else if (build === 'tsc') {
    cpSync(join(sources, 'main.ts'), join(appFolder, 'src/main.ts'));
    compileApp(name, folder);
  }
}

/**
 * The sources of an app as `nest new` generates it. Its ESM template imports `./app.service.js`, its CommonJS template
 * `./app.service`.
 * @param {string} appFolder
 */
function copyNewApp(appFolder) {
  const { type } = JSON.parse(readFileSync(join(appFolder, 'package.json'), 'utf8'));
  const newApp = join(sources, 'new-app');
  for (const path of readdirSync(newApp, { recursive: true, encoding: 'utf8' })) {
    if (path.endsWith('.ts')) {
      const text = readFileSync(join(newApp, path), 'utf8');
      mkdirSync(dirname(join(appFolder, path)), { recursive: true });
      writeFileSync(
        join(appFolder, path),
        type === 'module' ? text : text.replace(/( from '(?:\.|supertest\/)[^']*)\.js'/g, "$1'"),
      );
    }
  }
}

/**
 * Runs a script of the app's package.json.
 * @param {string} name
 * @param {string} folder
 * @param {string} script
 * @param {string} node path of the Node to run it with
 */
export function runScript(name, folder, script, node = process.execPath) {
  const env = { NODE_OPTIONS: '', PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  return runCommand('npm', ['run', '--silent', script], { cwd: join(folder, name), env });
}

/**
 * The path of a Node of this version, from the `node` package, so that nothing has to be installed for it.
 * @param {string} version
 * @param {string} folder
 */
export function nodeOf(version, folder) {
  return runCommand('npx', ['-y', '-p', `node@${version}`, '-c', 'node -p process.execPath'], { cwd: folder }).trim();
}

/**
 * Runs the TypeScript that the app has installed.
 * @param {string} name
 * @param {string} folder
 * @param {string[]} args
 */
export function compileApp(name, folder, ...args) {
  return runCommand(process.execPath, ['node_modules/typescript/bin/tsc', ...args], { cwd: join(folder, name) });
}

/**
 * @param {{ name: string, files: string[] }} app
 * @param {string} folder
 * @param {string} node path of the Node to run it with
 * @param {string[]} flags for Node
 */
export function runApp({ name, files }, folder, node = process.execPath, flags = []) {
  for (const file of files) {
    runCommand(node, [...flags, file], { cwd: join(folder, name), timeoutMs: 60_000, env: { NODE_OPTIONS: '' } });
  }
}

/**
 * What test-node needs before it can run an app: the packed apps, taken from `PACKED_APPS_DIR` when they are there.
 * @param {string} folder
 */
export function ensureApps(folder) {
  const areThere = APPS.every(({ name }) => existsSync(join(folder, name, 'node_modules/nestjs-distributed-cache')));
  if (!areThere) {
    check('the library packs', () => void packLibrary(folder));
    for (const app of APPS) {
      check(`${app.name}: installs and compiles`, () => installApp(app, folder));
    }
  }
}
