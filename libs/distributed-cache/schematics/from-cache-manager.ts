import type ts from 'typescript';
import { chooseSites, OLD_PACKAGE, type Site, sitesIn, type Translation, translateSite } from './cache-module-sites.js';
import { planResponses, type ResponsePlan } from './cached-responses.js';
import { styleOf, withImport, withoutImport } from './imports.js';
import { LIBRARY } from './nest-add-files.js';
import { type Compiler, compilerOf, SourceFile } from './source.js';
import {
  addDependency,
  type Context,
  type Files,
  installPackages,
  isTestFile,
  projectsOf,
  readJson,
  removeDependency,
  rootModuleOf,
  sourceFiles,
} from './workspace.js';

/**
 * `nest g from-cache-manager -c nestjs-distributed-cache`: changes an application of @nestjs/cache-manager. What it
 * can't change stays as it is, works as before, and is listed.
 */
export function fromCacheManager(_options: object = {}, folder = process.cwd()) {
  return (files: Files, context: Context): void => {
    const compiler = compilerOf(folder);
    if (compiler === undefined) {
      changeAsText(files, context);
    } else {
      new Migration(files, context, compiler).run();
    }
  };
}

/** Without a parser only the import of the token is changed, which is the same text in both packages. */
function changeAsText(files: Files, context: Context): void {
  context.logger.warn(
    `${LIBRARY}: the package "typescript" of this workspace has no programming interface (version 7 has none), so only the ` +
      'imports of CACHE_MANAGER are changed, as plain text. Install typescript 6 or older and run this again for the rest.',
  );
  const isModule = readJson(files, 'package.json')?.type === 'module';
  for (const path of sourceFiles(files, '.')) {
    const text = files.readText(path);
    const without = withoutImport(text, OLD_PACKAGE, ['CACHE_MANAGER']);
    if (without !== text) {
      files.overwrite(path, withImport(without, LIBRARY, ['CACHE_MANAGER'], styleOf(text, isModule)));
      context.logger.info(`${path}: CACHE_MANAGER of ${LIBRARY}`);
    }
    without.split('\n').forEach((line, index) => {
      if (/\bCache(Module|Interceptor|TTL|Key)\b/.test(line) && without.includes(OLD_PACKAGE)) {
        context.logger.info(`left: ${path}:${index + 1} ${line.trim()}`);
      }
    });
  }
  addDependency(files, LIBRARY, installedRange(files));
}

/** The version that runs this. */
function installedRange(files: Files): string {
  const version = readJson(files, `node_modules/${LIBRARY}/package.json`)?.version;
  return version === undefined ? 'latest' : `^${version}`;
}

class Migration {
  private readonly sources: SourceFile[];
  private readonly left: string[] = [];

  constructor(
    private readonly files: Files,
    private readonly context: Context,
    compiler: Compiler,
  ) {
    const isModule = readJson(files, 'package.json')?.type === 'module';
    this.sources = sourceFiles(files, '.').map((path) => {
      const text = files.readText(path);
      return new SourceFile(compiler, path, text, styleOf(text, isModule));
    });
  }

  run(): void {
    const sites = this.sources.flatMap(sitesIn);
    const translations = new Map(sites.map((site) => [site, translateSite(site, this.sources)]));
    const ofApps = sites.filter(({ source }) => !isTestFile(source.path));
    const { kept, undecided } = chooseSites(this.files, projectsOf(this.files), ofApps);
    const obstacles = [
      ...ofApps
        .filter((site) => kept.has(site) && translations.get(site) === undefined)
        .map((site) => ({ site, why: 'its options are no object that the text tells' })),
      ...undecided.map((site) => ({
        site,
        why: 'the application has more than one CacheModule, and this one can not be removed',
      })),
    ];
    if (obstacles.length > 0) {
      for (const { site, why } of obstacles) {
        this.left.push(
          `${site.source.line(site.call)} ${site.call.expression.getText()}: ${why}, so nothing is changed; see docs/migration.md`,
        );
      }
    } else {
      const responses = planResponses(this.sources);
      this.changeSites(sites, translations, kept, responses);
      responses.apply();
      this.left.push(...responses.left);
      if (responses.count > 0) {
        this.left.push(
          'requests with a Cookie or Authorization are not answered from the cache now: name an audience where users share a response, see docs/http.md',
        );
      }
      this.sources.forEach((source) => this.changeManager(source));
    }
    this.write(obstacles.length === 0);
  }

  private changeSites(
    sites: readonly Site[],
    translations: ReadonlyMap<Site, Translation | undefined>,
    kept: ReadonlySet<Site>,
    responses: ResponsePlan,
  ): void {
    const roots = this.existingModules();
    for (const site of sites) {
      const { source, call, list } = site;
      const translation = translations.get(site);
      const isTest = isTestFile(source.path);
      if (translation === undefined) {
        this.left.push(
          `${source.line(call)} ${call.expression.getText()} is not translated: its options are no object that the text tells`,
        );
      } else if (kept.has(site) || (isTest && !this.importsRoot(list))) {
        const withHttp =
          responses.count > 0 &&
          (!isTest || /\bcontrollers\b/.test(list?.parent.parent.getText() ?? '') || (list?.elements.length ?? 0) > 1);
        this.place(site, translation, withHttp);
      } else if (list !== undefined) {
        source.remove(call, list.elements);
        this.left.push(
          `${source.line(call)} is removed: the application has one cache now. Its options were: ${call.getText().replaceAll(/\s+/g, ' ')}`,
        );
      }
    }
    this.removeBareModules();
    const first = sites.find((site) => !isTestFile(site.source.path) && translations.get(site) !== undefined);
    const firstTranslation = first === undefined ? undefined : translations.get(first);
    if (kept.size === 0 && first !== undefined && firstTranslation !== undefined) {
      roots.forEach((root) => this.fill(root, firstTranslation, responses));
    }
  }

  private place({ source, call, list }: Site, translation: Translation, withHttp: boolean): void {
    const isInList = list !== undefined;
    source.replace(call, withHttp && isInList ? `${translation.cache}, ${translation.http}` : translation.cache);
    source.import(LIBRARY, 'DistributedCacheModule');
    if (withHttp && isInList) {
      source.import(`${LIBRARY}/http`, 'HttpCacheModule');
    } else if (withHttp) {
      this.left.push(`${source.line(call)}: add ${translation.http} to the imports of the module`);
    }
    if (withHttp && translation.http === 'HttpCacheModule.forRoot()') {
      this.left.push(`${source.line(call)} responses without a ttl of their own are fresh for 1 minute now`);
    }
    translation.changeOthers();
    this.left.push(...translation.left.map((note) => `${source.line(call)} ${note}`));
  }

  /** The calls of `DistributedCacheModule.forRoot` that are there before, by `nest add` for example. */
  private existingModules(): { source: SourceFile; call: ts.CallExpression }[] {
    const roots = this.rootModules();
    return this.sources
      .filter(({ path }) => roots.some((root) => root.path === path))
      .flatMap((source) =>
        source
          .find(source.compiler.isCallExpression)
          .filter(({ expression }) => /^DistributedCacheModule\.forRoot(Async)?$/.test(expression.getText()))
          .map((call) => ({ source, call })),
      );
  }

  /** Gives a `forRoot()` without options those of the old module. */
  private fill(
    root: { source: SourceFile; call: ts.CallExpression },
    translation: Translation,
    responses: ResponsePlan,
  ): void {
    const { source, call } = root;
    const withHttp = responses.count > 0 && !source.text.includes('HttpCacheModule.');
    const isEmpty = call.arguments.length === 0 && translation.cache.startsWith('DistributedCacheModule.forRoot(');
    if (!isEmpty) {
      this.left.push(`${source.line(call)} has options already, or needs others: ${translation.cache}`);
    }
    const cache = isEmpty
      ? translation.cache.replace('redis: false, ', '').replace('{ redis: false }', '')
      : call.getText();
    source.replace(call, withHttp ? `${cache}, ${translation.http}` : cache);
    if (withHttp) {
      source.import(`${LIBRARY}/http`, 'HttpCacheModule');
    }
    this.left.push(...translation.left.map((note) => `${source.line(call)} ${note}`));
  }

  private rootModules(): { path: string; className: string }[] {
    return projectsOf(this.files)
      .filter(({ isLibrary }) => !isLibrary)
      .map(({ sourceRoot }) => rootModuleOf(this.files, sourceRoot))
      .filter((root) => root !== undefined);
  }

  /** Whether a list of imports has the root module of an application, which brings the cache. */
  private importsRoot(list: ts.ArrayLiteralExpression | undefined): boolean {
    const roots = this.rootModules();
    return (list?.elements ?? []).some((element) => roots.some(({ className }) => className === element.getText()));
  }

  /** `CacheModule` without a call, in the imports and exports of modules. */
  private removeBareModules(): void {
    for (const source of this.sources) {
      const name = source.localName(OLD_PACKAGE, 'CacheModule');
      for (const use of name === undefined ? [] : source.uses(name)) {
        if (source.compiler.isArrayLiteralExpression(use.parent)) {
          source.remove(use, use.parent.elements);
        }
      }
    }
  }

  /** `CACHE_MANAGER` and the type and token `Cache`. */
  private changeManager(source: SourceFile): void {
    const token = source.localName(OLD_PACKAGE, 'CACHE_MANAGER');
    if (token !== undefined) {
      source.moveImport(OLD_PACKAGE, token, LIBRARY, token === 'CACHE_MANAGER' ? token : `CACHE_MANAGER as ${token}`);
    }
    const type = source.localName(OLD_PACKAGE, 'Cache');
    if (type !== undefined) {
      const isType = source.uses(type).map((use) => this.changeCacheType(source, use));
      source.moveImport(
        OLD_PACKAGE,
        type,
        'cache-manager',
        ...(isType.includes(true) ? [type === 'Cache' ? 'type Cache' : `type Cache as ${type}`] : []),
      );
    }
  }

  /** Returns whether this is a use as a type. A token becomes `CACHE_MANAGER`; a parameter is injected by it. */
  private changeCacheType(source: SourceFile, use: ts.Identifier): boolean {
    const { compiler } = source;
    if (!compiler.isTypeReferenceNode(use.parent) && !compiler.isExpressionWithTypeArguments(use.parent)) {
      source.replace(use, 'CACHE_MANAGER');
      source.import(LIBRARY, 'CACHE_MANAGER');
      return false;
    }
    const parameter = use.parent.parent;
    const isInjected =
      compiler.isParameter(parameter) &&
      compiler.isConstructorDeclaration(parameter.parent) &&
      source.decorators(parameter, 'Inject').length === 0 &&
      (compiler.getDecorators(parameter.parent.parent)?.length ?? 0) > 0;
    if (isInjected) {
      source.insertBefore(parameter, '@Inject(CACHE_MANAGER) ');
      source.import('@nestjs/common', 'Inject');
      source.import(LIBRARY, 'CACHE_MANAGER');
    }
    return true;
  }

  private write(isChanged: boolean): void {
    for (const source of this.sources.filter(({ isChanged: hasEdits }) => hasEdits)) {
      const text = source.result();
      if (text !== source.text) {
        this.files.overwrite(source.path, text);
        this.context.logger.info(`changed: ${source.path}`);
      }
    }
    const isOldUsed = sourceFiles(this.files, '.').some((path) => this.files.readText(path).includes(OLD_PACKAGE));
    const range = installedRange(this.files);
    if (isChanged && addDependency(this.files, LIBRARY, range)) {
      this.context.logger.info(`changed: package.json: ${LIBRARY} ${range} is added`);
      installPackages(this.context);
    }
    if (isChanged && !isOldUsed && removeDependency(this.files, OLD_PACKAGE)) {
      this.context.logger.info(`changed: package.json: ${OLD_PACKAGE} is removed`);
    }
    this.left.forEach((note) => this.context.logger.info(`left: ${note}`));
  }
}
