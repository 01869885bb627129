/**
 * The second half of `npm run build`: makes the CommonJS build of the library, `dist/cjs`, from the ESM build, and the
 * schematics of the Nest CLI, `dist/schematics`, which loads CommonJS.
 *
 * Node itself and bundlers never load it: the conditions `module-sync` and `module` of the package give `require` the ESM
 * build, so that a process has one state. It is for tools that cannot `require` ESM, such as jest. It is bundled for two
 * reasons: jest loads modules anew for every test file, and devalue exists as ESM only.
 *
 * jest with ESM and tsx load both builds when one file imports the package and another requires it. So the files that the
 * package names (`dist/entry` for ESM, `dist/cjs`) hand over to the build that was loaded first. Bundlers have no need of
 * it, and load the ESM build itself.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const library = fileURLToPath(new URL('../libs/distributed-cache', import.meta.url));
const esm = join(library, 'dist');
const cjs = join(esm, 'cjs');
const entryFolder = join(esm, 'entry');
const { exports: entries, dependencies, peerDependencies } = readJson(join(library, 'package.json'));
const bundled = ['devalue'];
const external = new Set(
  Object.keys({ ...dependencies, ...peerDependencies }).filter((name) => !bundled.includes(name)),
);

/** The files of the entries, relative to both builds and without extension: `index`, `core/index`. */
const modules = Object.values(entries)
  .map((entry) => entry.module?.default)
  .filter((file) => file !== undefined)
  .map((file) => relative(esm, join(library, file)).replace(/\.js$/, ''));

/**
 * The entry of the build that was loaded first, as far as it has it: the ESM build can't load a further entry for
 * `require`. Modules that a test runner loads again (`jest.resetModules`) are of the same build, and stay apart. The text
 * of this function is part of both builds, which have `folder`, `build` and `load`.
 */
const entryOf = `function entryOf(name, own) {
  const key = Symbol.for('nestjs-distributed-cache:' + folder);
  const first = (globalThis[key] ??= { build, entries: new Map() });
  if (first.build !== build) {
    return first.entries.get(name) ?? first.load?.(name) ?? own();
  }
  const entry = own();
  first.entries.set(name, entry);
  first.load = load;
  return entry;
}`;

rmSync(cjs, { recursive: true, force: true });
rmSync(entryFolder, { recursive: true, force: true });
await bundle();
await writeEntries();
await bundleSchematics();
copyDeclarations();
writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs" }\n');
for (const name of bundled) {
  copyFileSync(join(fileURLToPath(import.meta.resolve(name)), '../../LICENSE'), join(cjs, `LICENSE-${name}`));
}

async function bundle() {
  const build = await rolldown({
    input: Object.fromEntries(modules.map((name) => [name, join(esm, `${name}.js`)])),
    platform: 'node',
    external: (id) => id.startsWith('node:') || external.has(packageOf(id)),
    onLog(level, log) {
      throw new Error(`${level}: ${log.message}`);
    },
  });
  await build.write({
    dir: cjs,
    format: 'cjs',
    strict: true,
    keepNames: true,
    entryFileNames: 'build/[name].js',
    chunkFileNames: 'shared/[name].js',
  });
  await build.close();
}

/** Writes the files of both builds that hand over to the build that was loaded first. */
async function writeEntries() {
  mkdirSync(entryFolder);
  writeFileSync(
    join(entryFolder, 'one-state.js'),
    `import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('..', import.meta.url));
// tsx compiles this file to CommonJS for \`require\`.
const build = typeof module === 'undefined' ? 'esm' : 'cjs';
const load = undefined;
${entryOf}
export { entryOf };
`,
  );
  writeFileSync(
    join(cjs, 'one-state.js'),
    `'use strict';
const folder = require('node:path').join(__dirname, '../');
const build = 'cjs';
const load = (name) => require(\`./\${name}.js\`);
${entryOf}
exports.entryOf = entryOf;
`,
  );
  for (const name of modules) {
    const up = '../'.repeat(name.split('/').length - 1) || './';
    const names = Object.keys(await import(pathToFileURL(join(esm, `${name}.js`)).href));
    mkdirSync(dirname(join(entryFolder, name)), { recursive: true });
    mkdirSync(dirname(join(cjs, name)), { recursive: true });
    writeFileSync(
      join(entryFolder, `${name}.js`),
      `import * as own from '${up}../${name}.js';
import { entryOf } from '${up}one-state.js';

export const { ${names.join(', ')} } = entryOf('${name}', () => own);
`,
    );
    writeFileSync(
      join(cjs, `${name}.js`),
      `'use strict';
const { entryOf } = require('${up}one-state.js');
const entry = entryOf('${name}', () => require('${up}build/${name}.js'));
Object.defineProperty(exports, '__esModule', { value: true });
${names.map((one) => `exports.${one} = entry.${one};`).join('\n')}
`,
    );
  }
}

/** Each factory of collection.json as a file of its own; they import nothing but Node. */
async function bundleSchematics() {
  const [from, to] = [join(library, 'schematics'), join(esm, 'schematics')];
  rmSync(to, { recursive: true, force: true });
  const build = await rolldown({
    input: { 'nest-add': join(from, 'nest-add.ts'), 'from-cache-manager': join(from, 'from-cache-manager.ts') },
    platform: 'node',
    onLog(level, log) {
      throw new Error(`${level}: ${log.message}`);
    },
  });
  await build.write({ dir: to, format: 'cjs', strict: true, chunkFileNames: 'shared.js' });
  await build.close();
  for (const name of readdirSync(from).filter((file) => file.endsWith('.json'))) {
    copyFileSync(join(from, name), join(to, name));
  }
  writeFileSync(join(to, 'package.json'), '{ "type": "commonjs" }\n');
}

/** Copies the declarations that the entries reach; TypeScript takes them for CommonJS in their new folder. */
function copyDeclarations() {
  const reached = new Set(modules.map((name) => `${name}.d.ts`));
  for (const file of reached) {
    const text = readFileSync(join(esm, file), 'utf8');
    for (const [, specifier] of text.matchAll(/(?:from|import\()\s*['"](\.[^'"]+)\.js['"]/g)) {
      reached.add(join(dirname(file), `${specifier}.d.ts`));
    }
    mkdirSync(dirname(join(cjs, file)), { recursive: true });
    copyFileSync(join(esm, file), join(cjs, file));
  }
}

/** @param {string} id */
function packageOf(id) {
  return /^(@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? id;
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
