import { posix } from 'node:path';
import type ts from 'typescript';
import { OptionReader, type TranslatedOptions } from './cache-options.js';
import { LIBRARY } from './nest-add-files.js';
import { applyEdits, type Edit, type SourceFile } from './source.js';
import { type Files, type Project, rootModuleOf } from './workspace.js';

export const OLD_PACKAGE = '@nestjs/cache-manager';
const OLD_OPTION_TYPES = new Set(['CacheModuleOptions', 'CacheOptions', 'CacheManagerOptions']);

/** A call of `CacheModule.register` or `registerAsync`. */
export interface Site {
  readonly source: SourceFile;
  readonly call: ts.CallExpression;
  /** The list that it is an element of. */
  readonly list: ts.ArrayLiteralExpression | undefined;
}

/** What a site becomes. */
export interface Translation {
  /** The call of `DistributedCacheModule`, and that of `HttpCacheModule`, which the cached responses need. */
  readonly cache: string;
  readonly http: string;
  readonly left: readonly string[];
  /** Changes the declarations around the call that belong to it, in this or another file. */
  readonly changeOthers: () => void;
}

export function sitesIn(source: SourceFile): Site[] {
  const { compiler } = source;
  const name = source.localName(OLD_PACKAGE, 'CacheModule');
  return source
    .find(compiler.isCallExpression)
    .filter(
      ({ expression }) =>
        name !== undefined && [`${name}.register`, `${name}.registerAsync`].includes(expression.getText()),
    )
    .map((call) => ({ source, call, list: compiler.isArrayLiteralExpression(call.parent) ? call.parent : undefined }));
}

/** Which sites stay as the cache of an application, which go, and which can't be decided. */
export function chooseSites(files: Files, projects: readonly Project[], sites: readonly Site[]) {
  const sitesOf = (project: Project) => sites.filter(({ source }) => projectOf(projects, source.path) === project);
  const kept = new Set<Site>();
  const reached = new Map<Site, Set<Site | undefined>>();
  for (const app of projects.filter(({ isLibrary }) => !isLibrary)) {
    const root = rootModuleOf(files, app.sourceRoot)?.path;
    const own = sitesOf(app);
    const inLibraries = librariesOf(files, projects, app).flatMap(sitesOf);
    const isThere = root !== undefined && files.readText(root).includes('DistributedCacheModule.forRoot');
    const chosen = isThere ? undefined : (own.find(({ source }) => source.path === root) ?? own[0] ?? inLibraries[0]);
    [...own, ...inLibraries].forEach((site) => reached.set(site, (reached.get(site) ?? new Set()).add(chosen)));
    if (chosen !== undefined) {
      kept.add(chosen);
    }
  }
  const undecided = sites.filter((site) => {
    const choices = reached.get(site);
    const isForAll = choices?.size === 1 && choices.has(site);
    return choices === undefined || (kept.has(site) ? !isForAll : site.list === undefined);
  });
  return { kept, undecided };
}

function projectOf(projects: readonly Project[], path: string): Project | undefined {
  const owners = projects.filter(({ root, sourceRoot }) =>
    [root, sourceRoot].some((folder) => folder === '.' || path.startsWith(`${folder}/`)),
  );
  return owners.sort((a, b) => b.root.length - a.root.length)[0];
}

/** The libraries of the workspace that an application imports by an alias of tsconfig.json, also through another. */
function librariesOf(files: Files, projects: readonly Project[], app: Project): Project[] {
  const paths = ['tsconfig.json', 'tsconfig.base.json'].flatMap((path) => {
    const text = files.exists(path) ? files.readText(path).replaceAll(/^\s*\/\/.*$/gm, '') : '{}';
    const { compilerOptions } = JSON.parse(text.replaceAll(/,(\s*[}\]])/g, '$1')) as {
      compilerOptions?: { paths?: Record<string, string[]> };
    };
    return Object.entries(compilerOptions?.paths ?? {});
  });
  const libraries = projects.filter(({ isLibrary }) => isLibrary);
  const imports = (from: Project, library: Project) =>
    paths.some(([alias, [target = '']]) => {
      const start = `'${alias.replace(/\/?\*$/, '')}`;
      return posix.normalize(target).startsWith(`${library.root}/`) && textOf(files, from.sourceRoot).includes(start);
    });
  const found: Project[] = [];
  for (const from of [app, ...found]) {
    found.push(...libraries.filter((library) => !found.includes(library) && imports(from, library)));
  }
  return found;
}

function textOf(files: Files, folder: string): string {
  const { subdirs, subfiles } = files.getDir(folder);
  return [
    ...subfiles.filter((name) => name.endsWith('.ts')).map((name) => files.readText(posix.join(folder, name))),
    ...subdirs.map((name) => textOf(files, posix.join(folder, name))),
  ]
    .join('\n')
    .replaceAll('"', "'");
}

/** What a site becomes; undefined if its options can't be read. */
export function translateSite({ source, call }: Site, sources: readonly SourceFile[]): Translation | undefined {
  const reader = new OptionReader(source);
  const [argument] = call.arguments;
  if (call.expression.getText().endsWith('.register')) {
    const options = reader.translate(argument);
    return (
      options && {
        cache: `DistributedCacheModule.forRoot(${options.fields.length === 0 ? '' : `{ ${options.fields.join(', ')} }`})`,
        http: httpModule(options.ttl),
        left: options.left,
        changeOthers: () => undefined,
      }
    );
  }
  return argument !== undefined && source.compiler.isObjectLiteralExpression(argument)
    ? translateAsync(source, call, argument, sources)
    : undefined;
}

function httpModule(ttl: string | undefined): string {
  return `HttpCacheModule.forRoot(${ttl === undefined ? '' : `{ ttl: ${ttl} }`})`;
}

function translateAsync(
  source: SourceFile,
  call: ts.CallExpression,
  options: ts.ObjectLiteralExpression,
  sources: readonly SourceFile[],
): Translation | undefined {
  const { compiler } = source;
  const properties = new Map(options.properties.map((property) => [property.name?.getText(), property]));
  const useClass = properties.get('useClass') ?? properties.get('useExisting');
  const factory = factoryOf(source, properties.get('useFactory'));
  if (
    properties.has('extraProviders') ||
    properties.has(undefined) ||
    (factory === undefined) === (useClass === undefined)
  ) {
    return undefined;
  }
  const callee: Edit = { start: call.expression.getStart(), end: call.expression.getEnd(), text: '' };
  const isGlobal = properties.get('isGlobal');
  const shared = isGlobal === undefined ? [] : [withoutProperty(source.text, isGlobal)];
  const render = (module: string, edits: readonly Edit[]) =>
    applyEdits(
      source.text,
      [{ ...callee, text: `${module}.forRootAsync` }, ...shared, ...edits],
      call.getStart(),
      call.getEnd(),
    );
  if (factory !== undefined) {
    const changed = returnsOf(source, factory);
    if (changed === undefined) {
      return undefined;
    }
    const { ttl } = changed.options;
    return {
      cache: render('DistributedCacheModule', changed.edits(`{ ${changed.options.fields.join(', ')} }`)),
      http: ttl?.startsWith('Number(') ? render('HttpCacheModule', changed.edits(`{ ttl: ${ttl} }`)) : httpModule(ttl),
      left: changed.options.left,
      changeOthers: () => source.import(LIBRARY, ...changed.types),
    };
  }
  const className =
    useClass !== undefined && compiler.isPropertyAssignment(useClass) ? useClass.initializer.getText() : '';
  const changed = factoryClass(className, sources);
  return (
    changed && {
      cache: render('DistributedCacheModule', []),
      http: httpModule(changed.ttl?.startsWith('Number(') ? undefined : changed.ttl),
      left: changed.left,
      changeOthers: changed.change,
    }
  );
}

type Factory = ts.ArrowFunction | ts.FunctionExpression | ts.MethodDeclaration;

function factoryOf(source: SourceFile, property: ts.ObjectLiteralElementLike | undefined): Factory | undefined {
  const { compiler } = source;
  const value = property !== undefined && compiler.isPropertyAssignment(property) ? property.initializer : property;
  return value !== undefined &&
    (compiler.isArrowFunction(value) || compiler.isFunctionExpression(value) || compiler.isMethodDeclaration(value))
    ? value
    : undefined;
}

/** The one object that a factory returns, and what changes with it. */
function returnsOf(source: SourceFile, factory: Factory) {
  const { compiler } = source;
  const body = factory.body;
  const results =
    body !== undefined && compiler.isBlock(body)
      ? source.find(compiler.isReturnStatement, body).map(({ expression }) => expression)
      : [body];
  const [result] = results;
  if (results.length !== 1 || result === undefined || body === undefined || !compiler.isExpression(result)) {
    return undefined;
  }
  const options: TranslatedOptions | undefined = new OptionReader(source).translate(result);
  if (options === undefined) {
    return undefined;
  }
  const inBrackets = compiler.isParenthesizedExpression(result) ? result.expression : result;
  const types = source
    .find(compiler.isTypeReferenceNode, factory)
    .filter(({ typeName }) => source.imports.get(typeName.getText())?.module === OLD_PACKAGE)
    .filter(({ typeName }) => OLD_OPTION_TYPES.has(typeName.getText()));
  const edits = (text: string): Edit[] => [
    { start: inBrackets.getStart(), end: inBrackets.getEnd(), text },
    ...types.map((type) => ({ start: type.getStart(), end: type.getEnd(), text: 'DistributedCacheOptions' })),
  ];
  return { options, edits, types: types.length > 0 ? ['type DistributedCacheOptions'] : [] };
}

function withoutProperty(text: string, property: ts.Node): Edit {
  const after = /^\s*,[ \t]*(\r?\n[ \t]*(?=[^\s}]))?/.exec(text.slice(property.getEnd()))?.[0].length ?? 0;
  return { start: property.getStart(), end: property.getEnd() + after, text: '' };
}

/** A class with `createCacheOptions`, in whichever file it is. */
function factoryClass(className: string, sources: readonly SourceFile[]) {
  for (const source of sources) {
    const { compiler } = source;
    const declared = source.find(compiler.isClassDeclaration).find(({ name }) => name?.text === className);
    const method = declared?.members
      .filter(compiler.isMethodDeclaration)
      .find(({ name }) => name.getText() === 'createCacheOptions');
    const changed = method === undefined ? undefined : returnsOf(source, method);
    if (declared !== undefined && method !== undefined && changed !== undefined) {
      const { fields, ttl, left } = changed.options;
      const base = source
        .find(compiler.isExpressionWithTypeArguments, declared)
        .find(({ expression }) => expression.getText() === 'CacheOptionsFactory');
      const change = () => {
        changed.edits(`{ ${fields.join(', ')} }`).forEach((edit) => source.edit(edit));
        source.replace(method.name, 'createDistributedCacheOptions');
        if (base !== undefined) {
          source.replace(base, 'DistributedCacheOptionsFactory');
          source.import(LIBRARY, 'type DistributedCacheOptionsFactory');
        }
        source.import(LIBRARY, ...changed.types);
      };
      return { ttl, left, change };
    }
  }
  return undefined;
}
