import { posix } from 'node:path';
import { type Style, styleOf, withImport } from './imports.js';
import { withModuleImport } from './module-imports.js';
import { healthFiles, LIBRARY, metricsFiles } from './nest-add-files.js';
import { type Compiler, compilerOf } from './source.js';
import {
  addDependency,
  type Context,
  type Files,
  installPackages,
  isTestFile,
  projectsOf,
  readJson,
  rootModuleOf,
  sourceFiles,
} from './workspace.js';

export interface NestAddOptions {
  readonly sourceRoot?: string;
  readonly module?: string;
  readonly health?: boolean;
  readonly prometheus?: boolean;
  readonly skipInstall?: boolean;
}

/**
 * `nest add nestjs-distributed-cache`: adds the module, example settings, and the routes of operators that are asked
 * for. What is there already stays as it is.
 */
export function nestAdd(options: NestAddOptions, folder = process.cwd()): (files: Files, context: Context) => void {
  return (files, context) => {
    const compiler = compilerOf(folder);
    if (compiler === undefined) {
      context.logger.warn(
        'nestjs-distributed-cache: the package "typescript" of this workspace has no programming interface (version 7 has none), ' +
          'so the files are edited as plain text. Read the changes before you commit them.',
      );
    }
    new NestAdd(files, context, options, compiler).run();
  };
}

class NestAdd {
  private readonly sourceRoot: string;
  private readonly manifest: NonNullable<ReturnType<typeof readJson>>;

  constructor(
    private readonly files: Files,
    private readonly context: Context,
    private readonly options: NestAddOptions,
    private readonly compiler: Compiler | undefined,
  ) {
    const project = projectsOf(files).find(({ isLibrary }) => !isLibrary);
    this.sourceRoot = posix.normalize(options.sourceRoot ?? project?.sourceRoot ?? 'src');
    this.manifest = readJson(files, 'package.json') ?? {};
  }

  run(): void {
    const root = this.rootModule();
    if (/\bDistributedCacheModule\s*\.\s*forRoot/.test(this.files.readText(root.path))) {
      this.tell(`${root.path} imports DistributedCacheModule already`);
    } else {
      this.importModule(root, {
        expression: 'DistributedCacheModule.forRoot()',
        module: LIBRARY,
        name: 'DistributedCacheModule',
      });
    }
    this.addSettings();
    if (this.options.health === true) {
      this.addHealth(root);
    }
    if (this.options.prometheus === true) {
      this.addPrometheus(root);
    }
    this.addPackages();
    const main = posix.join(this.sourceRoot, 'main.ts');
    if (this.files.exists(main) && !this.files.readText(main).includes('enableShutdownHooks')) {
      this.tell(`next: add app.enableShutdownHooks() to ${main}, so that the cache closes its connections at the end`);
    }
  }

  private rootModule(): { path: string; className: string } {
    const { module } = this.options;
    if (module !== undefined) {
      const path = [module, posix.join(this.sourceRoot, module)].find((each) => this.files.exists(each));
      const [, className] = /class\s+(\w+)/.exec(path === undefined ? '' : this.files.readText(path)) ?? [];
      if (path !== undefined && className !== undefined) {
        return { path, className };
      }
    }
    const found = module === undefined ? rootModuleOf(this.files, this.sourceRoot) : undefined;
    if (found === undefined) {
      throw new Error(
        `nestjs-distributed-cache: no root module in ${module ?? this.sourceRoot}. Name its file: nest add ${LIBRARY} --module src/app.module.ts`,
      );
    }
    return found;
  }

  private importModule(
    target: { path: string; className: string },
    element: { expression: string; module: string; name: string },
  ): void {
    const text = this.files.readText(target.path);
    const changed = withModuleImport(text, target.className, element, this.styleOf(text), this.compiler);
    if (changed === undefined) {
      this.tell(
        `to do: no @Module of ${target.className} found in ${target.path}: add ${element.expression} to its imports`,
      );
    } else {
      this.files.overwrite(target.path, changed);
      this.tell(`${target.path}: ${element.expression} in the imports of ${target.className}`);
    }
  }

  private addSettings(): void {
    const path = '.env.example';
    const before = this.files.exists(path) ? this.files.readText(path) : '';
    if (before.includes('CACHE_KEY_PREFIX')) {
      return;
    }
    const name = (this.manifest.name ?? 'app').replace(/^@.*\//, '').replaceAll(/[^\w-]/g, '-');
    const lines = [
      '# nestjs-distributed-cache: the address of Redis, and the first part of every key in it.',
      ...(/^#?\s*REDIS_URL=/m.test(before) ? [] : ['REDIS_URL=redis://localhost:6379']),
      `CACHE_KEY_PREFIX=${name}`,
    ];
    const text = `${before === '' ? '' : `${before.trimEnd()}\n\n`}${lines.join('\n')}\n`;
    this.write(path, text);
    this.tell(`${path}: REDIS_URL and CACHE_KEY_PREFIX; the program reads the environment, so set them where it runs`);
  }

  /** A health check of the application gets the cache as one more indicator; without one there is a new route. */
  private addHealth(root: { path: string; className: string }): void {
    if (this.anyFile(/DistributedCacheHealthIndicator/) !== undefined) {
      this.tell('the health check includes the cache already');
      return;
    }
    const controller = this.anyFile(/\bHealthCheckService\b/);
    const health = {
      expression: 'DistributedCacheHealthModule',
      module: `${LIBRARY}/health`,
      name: 'DistributedCacheHealthModule',
    };
    if (controller === undefined) {
      this.addFiles(root, 'HealthModule', 'health', healthFiles(this.style(root.path)));
      return;
    }
    const text = this.files.readText(controller);
    const [, className = ''] = /class\s+(\w+)/.exec(text) ?? [];
    const owner = this.anyFile(new RegExp(String.raw`controllers:\s*\[[^\]]*\b${className}\b`));
    const [, ownerName] = /class\s+(\w+)/.exec(owner === undefined ? '' : this.files.readText(owner)) ?? [];
    const changed = withIndicator(text, this.styleOf(text));
    if (changed === undefined || owner === undefined || ownerName === undefined) {
      this.tell(
        `to do: ${controller}: inject DistributedCacheHealthIndicator of ${LIBRARY}/health, add () => this.cacheHealth.isHealthy('cache') ` +
          'to its check, and import DistributedCacheHealthModule in its module',
      );
      return;
    }
    this.files.overwrite(controller, changed);
    this.tell(`${controller}: the cache is one of the checks of ${className}`);
    this.importModule({ path: owner, className: ownerName }, health);
  }

  private addPrometheus(root: { path: string; className: string }): void {
    if (this.anyFile(/\bregisterCacheMetrics\b/) !== undefined) {
      this.tell('the counters are registered with prom-client already');
      return;
    }
    const existing = this.anyFile(/['"](prom-client|@willsoto\/nestjs-prometheus)['"]/);
    this.addFiles(
      root,
      'CacheMetricsModule',
      'cache-metrics',
      metricsFiles(this.style(root.path), existing === undefined),
    );
    if (existing !== undefined) {
      this.tell(
        `the counters are in the default registry of prom-client, which ${existing} uses: there is no new route`,
      );
    }
  }

  private addFiles(
    root: { path: string; className: string },
    moduleName: string,
    folder: string,
    contents: ReadonlyMap<string, string>,
  ): void {
    for (const [name, text] of contents) {
      const path = posix.join(this.sourceRoot, folder, name);
      if (this.files.exists(path)) {
        this.tell(`to do: ${path} exists and is another file: nothing is added for it`);
        return;
      }
      this.write(path, text);
      this.tell(`${path}: new`);
    }
    const style = this.style(root.path);
    const from = posix.relative(posix.dirname(root.path), posix.join(this.sourceRoot, folder, `${folder}.module`));
    const module = `${from.startsWith('.') ? '' : './'}${from}${style.extension}`;
    this.importModule(root, { expression: moduleName, module, name: moduleName });
  }

  /** Packages that the additions import, with the major version of Nest where they follow it. */
  private addPackages(): void {
    const nest = /\d+/.exec(this.manifest.dependencies?.['@nestjs/core'] ?? '')?.[0] ?? '12';
    const wanted = [
      ...(this.options.health === true ? [['@nestjs/terminus', `^${nest}.0.0`] as const] : []),
      ...(this.options.prometheus === true ? [['prom-client', '^15.1.3'] as const] : []),
    ];
    const added = wanted.filter(([name, range]) => addDependency(this.files, name, range));
    added.forEach(([name, range]) => this.tell(`package.json: ${name} ${range}`));
    if (added.length > 0 && this.options.skipInstall !== true) {
      installPackages(this.context);
    }
  }

  /** The first source file, tests excepted, that a pattern matches. */
  private anyFile(pattern: RegExp): string | undefined {
    return sourceFiles(this.files, this.sourceRoot).find(
      (path) => !isTestFile(path) && pattern.test(this.files.readText(path)),
    );
  }

  private style(path: string): Style {
    return this.styleOf(this.files.readText(path));
  }

  private styleOf(text: string): Style {
    return styleOf(text, this.manifest.type === 'module');
  }

  private write(path: string, text: string): void {
    if (this.files.exists(path)) {
      this.files.overwrite(path, text);
    } else {
      this.files.create(path, text);
    }
  }

  private tell(message: string): void {
    this.context.logger.info(message);
  }
}

/** A controller of Terminus with the cache among its checks, or undefined where it has another form. */
function withIndicator(text: string, style: Style): string | undefined {
  const parameter = /constructor\s*\(\s*/.exec(text);
  const check = /\.check\(\s*\[(\s*)/.exec(text);
  if (parameter === null || check === null || check.index < parameter.index) {
    return undefined;
  }
  const [inList, inConstructor] = [check.index + check[0].length, parameter.index + parameter[0].length];
  const line = (whole: string) => /\n[ \t]*$/.exec(whole)?.[0] ?? ' ';
  const separator = text[inList] === ']' ? '' : `,${line(check[0])}`;
  const injected =
    '@Inject(DistributedCacheHealthIndicator) private readonly cacheHealth: DistributedCacheHealthIndicator';
  const changed =
    text.slice(0, inConstructor) +
    `${injected},${line(parameter[0])}` +
    text.slice(inConstructor, inList) +
    `() => this.cacheHealth.isHealthy(${style.quote}cache${style.quote})${separator}` +
    text.slice(inList);
  return withImport(
    withImport(changed, '@nestjs/common', ['Inject'], style),
    `${LIBRARY}/health`,
    ['DistributedCacheHealthIndicator'],
    style,
  );
}
