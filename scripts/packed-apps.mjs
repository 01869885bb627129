/** The packed library and the throw-away apps that install it: shared by check-packages and test-node. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check, runCommand } from './run-command.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'test/packages');
const LIBRARY = join(root, 'libs/distributed-cache');

/** Each runs its files one after the other; a file that fails or does not end by itself is a failure. */
export const APPS = [
  { name: 'nest11-cjs', compiles: true, files: ['require-entries.cjs', 'dist/main.js'] },
  { name: 'nest12-esm', compiles: true, files: ['dist/main.js'] },
  { name: 'plain-node', compiles: false, files: ['main.mjs'] },
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
  const missing = Object.values(entries)
    .flatMap((entry) => (typeof entry === 'string' ? [entry] : [entry.types, entry.default]))
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
 * Installs and compiles one app from the tarball.
 * @param {typeof APPS[number]} app
 * @param {string} folder
 */
export function installApp({ name, compiles }, folder) {
  const appFolder = join(folder, name);
  rmSync(appFolder, { recursive: true, force: true });
  cpSync(join(sources, name), appFolder, { recursive: true });
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  runCommand('npm', ['install', ...quietly], { cwd: appFolder });
  if (compiles) {
    cpSync(join(sources, 'main.ts'), join(appFolder, 'src/main.ts'));
    compileApp(name, folder);
  }
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
 * @param {typeof APPS[number]} app
 * @param {string} folder
 * @param {string} node path of the Node to run it with
 */
export function runApp({ name, files }, folder, node = process.execPath) {
  for (const file of files) {
    runCommand(node, [file], { cwd: join(folder, name), timeoutMs: 60_000, env: { NODE_OPTIONS: '' } });
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
