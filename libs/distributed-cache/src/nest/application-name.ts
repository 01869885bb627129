import { readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** The application of a Nest monorepo, whose applications share one `package.json`: `dist/apps/orders/main.js`. */
const IN_APPS = /(?:^|[\\/])apps[\\/]([^\\/]+)[\\/]/;

/**
 * The name of this application, which stays the same in all of its processes and versions: that of the package that its
 * program belongs to, and, in a monorepo with one package, of its folder in `apps/`. A program of `node_modules` (a test
 * runner, a process manager) works for the package of the working folder.
 * @returns `undefined` if there is no `package.json` with a name
 */
export function applicationName(program = process.argv[1], workingFolder = process.cwd()): string | undefined {
  const script =
    program === undefined || program.includes(`${sep}node_modules${sep}`) ? join(workingFolder, 'main') : program;
  let folder = dirname(script);
  for (;;) {
    const name = nameOfPackage(folder);
    if (name !== undefined) {
      const [, inApps] = IN_APPS.exec(relative(folder, script)) ?? [];
      return inApps === undefined ? name : `${name}/${inApps}`;
    }
    const parent = dirname(folder);
    if (parent === folder) {
      return undefined;
    }
    folder = parent;
  }
}

/**
 * The name in the `package.json` of this folder; `undefined` if there is no such file, or it has no name (a
 * `dist/package.json` often says the `type` only).
 */
function nameOfPackage(folder: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly name?: unknown };
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    return undefined;
  }
}
