import { posix } from 'node:path';

/** The part of the `Tree` of a schematic that is used here. A path is relative to the folder of the workspace. */
export interface Files {
  exists(path: string): boolean;
  readText(path: string): string;
  create(path: string, content: string): void;
  overwrite(path: string, content: string): void;
  getDir(path: string): { readonly subdirs: readonly string[]; readonly subfiles: readonly string[] };
}

/** The part of the context of a schematic that is used here. */
export interface Context {
  readonly logger: { info(message: string): void; warn(message: string): void };
  addTask(task: { toConfiguration(): { name: string; options: object } }): unknown;
}

/** An application or a library of the workspace. */
export interface Project {
  readonly root: string;
  readonly sourceRoot: string;
  readonly isLibrary: boolean;
}

interface NestCliJson {
  sourceRoot?: string;
  root?: string;
  projects?: Record<string, { type?: string; root?: string; sourceRoot?: string }>;
}

const NOT_SOURCES = new Set(['node_modules', 'dist', 'coverage', 'build']);

/** The fields that are read here of package.json and nest-cli.json. */
export function readJson(files: Files, path: string): (PackageJson & NestCliJson) | undefined {
  return files.exists(path) ? JSON.parse(files.readText(path).replace(/^\uFEFF/, '')) : undefined;
}

/** The TypeScript files below a folder, without declarations. */
export function sourceFiles(files: Files, folder: string): string[] {
  const { subdirs, subfiles } = files.getDir(folder);
  return [
    ...subfiles.filter((name) => /(?<!\.d)\.[cm]?ts$/.test(name)).map((name) => posix.join(folder, name)),
    ...subdirs
      .filter((name) => !NOT_SOURCES.has(name) && !name.startsWith('.'))
      .flatMap((name) => sourceFiles(files, posix.join(folder, name))),
  ];
}

export function isTestFile(path: string): boolean {
  return /[.-](spec|test)\.[cm]?ts$/.test(path) || /(^|\/)(test|tests|__tests__)\//.test(path);
}

/** The projects of nest-cli.json; without `projects` the application in `sourceRoot`. */
export function projectsOf(files: Files): Project[] {
  const { projects, sourceRoot = 'src' } = readJson(files, 'nest-cli.json') ?? {};
  const listed = Object.values(projects ?? {}).map(({ type, root = '', sourceRoot: sources }) => ({
    root: posix.normalize(root || '.'),
    sourceRoot: posix.normalize(sources ?? posix.join(root, 'src')),
    isLibrary: type === 'library',
  }));
  const standard = { root: '.', sourceRoot: posix.normalize(sourceRoot), isLibrary: false };
  return listed.some((project) => !project.isLibrary) ? listed : [...listed, standard];
}

/** The file and the class that `NestFactory.create` of main.ts names, else `AppModule` in app.module.ts. */
export function rootModuleOf(files: Files, sourceRoot: string): { path: string; className: string } | undefined {
  const main = posix.join(sourceRoot, 'main.ts');
  const conventional = { path: posix.join(sourceRoot, 'app.module.ts'), className: 'AppModule' };
  const text = files.exists(main) ? files.readText(main) : '';
  const [, className] = /NestFactory\s*\.\s*create\w*\s*(?:<[^>]*>)?\(\s*(\w+)/.exec(text) ?? [];
  if (className !== undefined) {
    if (new RegExp(`class\\s+${className}\\b`).test(text)) {
      return { path: main, className };
    }
    const [, specifier] =
      new RegExp(`import\\s*\\{[^}]*\\b${className}\\b[^}]*\\}\\s*from\\s*['"](.[^'"]*)`).exec(text) ?? [];
    const path = specifier?.startsWith('.')
      ? posix.join(sourceRoot, specifier.replace(/\.js$/, '') + '.ts')
      : undefined;
    if (path !== undefined && files.exists(path)) {
      return { path, className };
    }
  }
  return files.exists(conventional.path) ? conventional : undefined;
}

/** Adds a package to the dependencies of package.json, unless it is there. Returns whether it was added. */
export function addDependency(files: Files, name: string, range: string): boolean {
  return changeDependencies(files, (dependencies, others) => {
    if (dependencies[name] !== undefined || others[name] !== undefined) {
      return false;
    }
    dependencies[name] = range;
    return true;
  });
}

/** Removes a package from package.json. Returns whether it was there. */
export function removeDependency(files: Files, name: string): boolean {
  return changeDependencies(files, (dependencies) => delete dependencies[name] && true, name);
}

function changeDependencies(
  files: Files,
  change: (dependencies: Record<string, string>, others: Record<string, string>) => boolean,
  present?: string,
): boolean {
  const json = readJson(files, 'package.json');
  if (json === undefined || (present !== undefined && json.dependencies?.[present] === undefined)) {
    return false;
  }
  json.dependencies ??= {};
  if (!change(json.dependencies, { ...json.devDependencies, ...json.peerDependencies })) {
    return false;
  }
  json.dependencies = Object.fromEntries(Object.entries(json.dependencies).sort(([a], [b]) => (a < b ? -1 : 1)));
  const indent = /^([ \t]+)"/m.exec(files.readText('package.json'))?.[1] ?? '  ';
  files.overwrite('package.json', `${JSON.stringify(json, undefined, indent)}\n`);
  return true;
}

interface PackageJson {
  name?: string;
  version?: string;
  type?: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

/** Runs the package manager of the workspace after the files are written; not with `--dry-run`. */
export function installPackages(context: Context): void {
  context.addTask({
    toConfiguration: () => ({
      name: 'node-package',
      options: { command: 'install', quiet: true, workingDirectory: '.', hideOutput: false },
    }),
  });
}
