/**
 * `npm run check:packages`: looks at the library as a user gets it, a packed tarball, never the workspace link.
 * Needs a build. One line per check; the first broken one ends the run.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { APPS, compileApp, installApp, packLibrary, root, runApp, tarballIn, workFolder } from './packed-apps.mjs';
import { CommandError, check, runCommand } from './run-command.mjs';

const folder = workFolder();
const tarball = tarballIn(folder);

check('the library packs, without sources, specs or build leftovers', () => {
  const files = packLibrary(folder);
  const strangers = files.filter(
    (path) =>
      !/^(dist\/.+\.(js|d\.ts|map)|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path) ||
      /\.spec\./.test(path),
  );
  if (strangers.length > 0) {
    throw new Error(`not for users: ${strangers.join(', ')}`);
  }
  return `${files.length} files`;
});

check('publint finds nothing', () => {
  runCommand(program('publint'), ['run', tarball, '--strict']);
});

check('attw resolves every entry (ESM only, required by CommonJS through require(esm))', () => {
  runCommand(program('attw'), [tarball, '--profile', 'esm-only', '--no-emoji']);
});

for (const app of APPS) {
  check(`${app.name}: installs${app.compiles ? ' and compiles' : ''}`, () => {
    installApp(app, folder);
    return versions(app.name);
  });
}

check('nest11-cjs: compiles with node16 resolution too', () => {
  compileApp('nest11-cjs', folder, '--noEmit', '--module', 'nodenext', '--moduleResolution', 'nodenext');
});

check('nest12-esm: the declarations are sound (skipLibCheck: false)', checkDeclarations);

for (const app of APPS) {
  check(`${app.name}: runs and ends by itself`, () => runApp(app, folder));
}

/** A foreign package with broken declarations is named; ours fail, and so does any that only ours can have brought in. */
function checkDeclarations() {
  const reached = compileApp('nest12-esm', folder, '--listFilesOnly').split('\n');
  if (!reached.some((path) => path.includes('node_modules/nestjs-distributed-cache/'))) {
    throw new Error('the app does not reach the declarations of nestjs-distributed-cache');
  }
  if (reached.some((path) => path.includes('node_modules/cache-manager-ioredis-yet/'))) {
    throw new Error('the public declarations reach cache-manager-ioredis-yet, whose own do not compile');
  }
  try {
    compileApp('nest12-esm', folder, '--noEmit', '--skipLibCheck', 'false');
    return undefined;
  } catch (error) {
    const text = error instanceof CommandError ? error.message : '';
    const files = [...text.matchAll(/^(\S+?\.[cm]?ts)\(\d+,\d+\): error/gm)].map(([, file]) => file);
    const packages = files.map((file) => /^node_modules\/((@[^/]+\/)?[^/]+)\//.exec(file)?.[1]);
    const areForeign = packages.every((name) => name && name !== 'nestjs-distributed-cache');
    if (packages.length === 0 || !areForeign) {
      throw error;
    }
    return `not ours: ${[...new Set(packages)].join(', ')} has declarations that do not compile`;
  }
}

/** @param {string} app */
function versions(app) {
  const names = ['@nestjs/core', '@nestjs/terminus', 'typescript'].filter((name) => existsSync(manifest(app, name)));
  return names.map((name) => `${name} ${JSON.parse(readFileSync(manifest(app, name), 'utf8')).version}`).join(', ');
}

/**
 * @param {string} app
 * @param {string} name
 */
function manifest(app, name) {
  return join(folder, app, 'node_modules', name, 'package.json');
}

/** @param {string} name */
function program(name) {
  return join(root, 'node_modules/.bin', name);
}
