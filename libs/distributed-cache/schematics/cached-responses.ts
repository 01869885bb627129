import type ts from 'typescript';
import { durationText, OptionReader } from './cache-options.js';
import { OLD_PACKAGE } from './cache-module-sites.js';
import { LIBRARY } from './nest-add-files.js';
import type { SourceFile } from './source.js';

/** What becomes of the uses of `CacheInterceptor`. */
export interface ResponsePlan {
  /** How many methods and controllers get `@CachedResponse`. */
  readonly count: number;
  readonly left: readonly string[];
  apply(): void;
}

const WHY_NOT = 'so CacheInterceptor stays, and works as before; docs/http.md says how to go on by hand';

/** `CacheInterceptor`, `CacheTTL` and `CacheKey` become `@CachedResponse` where nothing else depends on their entries. */
export function planResponses(sources: readonly SourceFile[]): ResponsePlan {
  const users = sources.filter((source) => source.localName(OLD_PACKAGE, 'CacheInterceptor') !== undefined);
  const global = users.flatMap((source) => globalInterceptors(source));
  const blocker = users.length === 0 ? undefined : blockerIn(sources, users);
  if (users.length === 0 || blocker !== undefined) {
    return { count: 0, left: blocker === undefined ? [] : [`${blocker}, ${WHY_NOT}`], apply: () => undefined };
  }
  const left: string[] = [];
  const changes: (() => void)[] = [];
  const everything = sources.map(({ text }) => text).join('\n');
  const isOnlyKey = (key: string) =>
    everything.split(new RegExp(`['"\`]${key.replaceAll(/\W/g, '\\$&')}['"\`]`)).length === 2;
  for (const source of sources) {
    for (const controller of source.find(source.compiler.isClassDeclaration)) {
      const plan = new ControllerPlan(source, controller, global.length > 0, isOnlyKey);
      if (plan.problem !== undefined) {
        left.push(`${source.line(controller)} ${controller.name?.text}: ${plan.problem}, ${WHY_NOT}`);
      }
      changes.push(...plan.changes());
    }
  }
  for (const source of users) {
    left.push(
      ...otherUses(source, global).map(
        (use) => `${source.line(use)} ${use.parent.getText().split('\n', 1)[0]} is not translated`,
      ),
    );
  }
  return {
    count: changes.length,
    left,
    apply: () => {
      changes.forEach((change) => change());
      global.forEach(({ source, provider, list }) => source.remove(provider, list.elements));
    },
  };
}

interface GlobalInterceptor {
  readonly source: SourceFile;
  readonly provider: ts.ObjectLiteralExpression;
  readonly list: ts.ArrayLiteralExpression;
}

/** The providers `{ provide: APP_INTERCEPTOR, useClass: CacheInterceptor }`. */
function globalInterceptors(source: SourceFile): GlobalInterceptor[] {
  const { compiler } = source;
  const name = source.localName(OLD_PACKAGE, 'CacheInterceptor');
  return source.find(compiler.isObjectLiteralExpression).flatMap((provider) => {
    const text = provider.getText().replaceAll(/\s/g, '').replace(',}', '}');
    const isIt = text === `{provide:APP_INTERCEPTOR,useClass:${name}}`;
    return isIt && compiler.isArrayLiteralExpression(provider.parent)
      ? [{ source, provider, list: provider.parent }]
      : [];
  });
}

/** A reason for which no route may change: the application looks at the entries of CacheInterceptor, or at its header. */
function blockerIn(sources: readonly SourceFile[], users: readonly SourceFile[]): string | undefined {
  const header = sources.find(({ text }) => /['"`]x-cache['"`]/i.test(text));
  if (header !== undefined) {
    return `${header.path} reads the header X-Cache, which CacheInterceptor sends`;
  }
  for (const source of users) {
    const { compiler } = source;
    const name = source.localName(OLD_PACKAGE, 'CacheInterceptor');
    const subclass = source
      .find(compiler.isHeritageClause)
      .find((clause) => clause.types.some((type) => type.expression.getText() === name));
    if (subclass !== undefined) {
      return `${source.line(subclass)} extends CacheInterceptor`;
    }
  }
  for (const source of sources.filter(({ text }) => /CACHE_MANAGER|\bCache\b/.test(text))) {
    const { compiler } = source;
    for (const call of source.find(compiler.isCallExpression)) {
      const { expression } = call;
      const method =
        compiler.isPropertyAccessExpression(expression) && /cache|manager/i.test(expression.expression.getText())
          ? expression.name.text
          : '';
      if (
        method === 'clear' ||
        method === 'reset' ||
        (/^m?del$/.test(method) && mayBeUrl(compiler, call.arguments[0]))
      ) {
        return `${source.line(call)} ${call.getText()} may remove entries of CacheInterceptor`;
      }
    }
  }
  return undefined;
}

/** Whether the key is one that CacheInterceptor may use: it begins with `/`, or the text does not tell. */
function mayBeUrl(compiler: typeof ts, key: ts.Expression | undefined): boolean {
  if (key === undefined) {
    return true;
  }
  const start = compiler.isTemplateExpression(key) ? key.head.text : compiler.isStringLiteralLike(key) ? key.text : '';
  return start === '' || start.startsWith('/');
}

/** The uses of the interceptor and its decorators that no plan covers. */
function otherUses(source: SourceFile, global: readonly GlobalInterceptor[]): ts.Identifier[] {
  const { compiler } = source;
  const name = source.localName(OLD_PACKAGE, 'CacheInterceptor');
  return name === undefined
    ? []
    : source.uses(name).filter((use) => {
        const isGlobal = global.some(({ provider }) => use.pos > provider.pos && use.end < provider.end);
        const isDecorator = compiler.isCallExpression(use.parent) && compiler.isDecorator(use.parent.parent);
        return !isGlobal && !isDecorator;
      });
}

interface Decorated {
  readonly node: ts.ClassDeclaration | ts.MethodDeclaration;
  readonly interceptors: { decorator: ts.Decorator; call: ts.CallExpression }[];
  readonly ttl: { decorator: ts.Decorator; call: ts.CallExpression } | undefined;
  readonly key: { decorator: ts.Decorator; call: ts.CallExpression } | undefined;
}

/** What becomes of one class. */
class ControllerPlan {
  /** Why nothing changes here. */
  readonly problem: string | undefined;
  private readonly owner: Decorated;
  private readonly methods: Decorated[];

  constructor(
    private readonly source: SourceFile,
    private readonly controller: ts.ClassDeclaration,
    private readonly isGlobal: boolean,
    private readonly isOnlyKey: (key: string) => boolean,
  ) {
    this.owner = this.decorated(controller);
    this.methods = controller.members
      .filter(source.compiler.isMethodDeclaration)
      .map((method) => this.decorated(method));
    this.problem = this.findProblem();
  }

  changes(): (() => void)[] {
    const { source } = this;
    const isController = source.decorators(this.controller, 'Controller').length > 0;
    const gets = this.methods.filter(({ node }) => source.decorators(node, 'Get').length > 0);
    const isCovered = this.owner.interceptors.length > 0 || (this.isGlobal && isController && gets.length > 0);
    if (this.problem !== undefined) {
      return this.isGlobal && isController && this.owner.interceptors.length === 0
        ? [() => this.keepInterceptor()]
        : [];
    }
    const isHealthCheck = gets.some(({ node }) => source.decorators(node, 'HealthCheck').length > 0);
    const routes = gets.filter(
      (get) => get.interceptors.length > 0 || (isCovered && (get.ttl ?? get.key) !== undefined),
    );
    return [
      ...(isCovered && !isHealthCheck ? [() => this.change(this.owner)] : []),
      ...routes.map((route) => () => this.change(route)),
    ];
  }

  private findProblem(): string | undefined {
    const all = [this.owner, ...this.methods];
    const isConcerned = all.some(({ interceptors, ttl, key }) => interceptors.length > 0 || (ttl ?? key) !== undefined);
    if (!isConcerned) {
      return undefined;
    }
    if (this.source.decorators(this.controller, 'Controller').length === 0) {
      return 'is no controller of HTTP';
    }
    const isFixed = (ttl: ts.Expression | undefined) =>
      ttl !== undefined && (new OptionReader(this.source).number(ttl) ?? 0) > 0;
    if (all.some(({ ttl }) => ttl !== undefined && !isFixed(ttl.call.arguments[0]))) {
      return 'has a CacheTTL that is no fixed time';
    }
    const isFree = (key: ts.Expression | undefined) =>
      key !== undefined && this.source.compiler.isStringLiteral(key) && this.isOnlyKey(key.text);
    if (all.some(({ key }) => key !== undefined && !isFree(key.call.arguments[0]))) {
      return 'has a CacheKey that other code uses: it needs a tag and HttpCache.purgeTags';
    }
    return this.methods.some(({ node }) => this.source.decorators(node, 'Sse').length > 0)
      ? 'has a stream of events'
      : undefined;
  }

  private decorated(node: ts.ClassDeclaration | ts.MethodDeclaration): Decorated {
    const { source } = this;
    const name = source.localName(OLD_PACKAGE, 'CacheInterceptor');
    const [ttl] = source.decorators(node, source.localName(OLD_PACKAGE, 'CacheTTL'));
    const [key] = source.decorators(node, source.localName(OLD_PACKAGE, 'CacheKey'));
    const interceptors = source
      .decorators(node, 'UseInterceptors')
      .filter(({ call }) => call.arguments.some((argument) => argument.getText() === name));
    return { node, interceptors, ttl, key };
  }

  /** Puts `@CachedResponse` in place of the decorators of a class or method. */
  private change({ node, interceptors, ttl, key }: Decorated): void {
    const { source } = this;
    const [ttlNode] = ttl?.call.arguments ?? [];
    const ms = ttlNode === undefined ? undefined : new OptionReader(source).number(ttlNode);
    const options = [
      ...(ms === undefined ? [] : [`ttl: ${durationText(ms)}`]),
      ...(key === undefined ? [] : [`tags: [${key.call.arguments[0]?.getText()}]`]),
    ];
    const response = `@CachedResponse(${options.length === 0 ? '' : `{ ${options.join(', ')} }`})`;
    const old = [...interceptors, ...[ttl, key].filter((each) => each !== undefined)];
    for (const [index, { decorator, call }] of old.entries()) {
      const others = this.otherInterceptors(call);
      const kept = others === '' ? '' : `@UseInterceptors(${others})`;
      const text = [...(index === 0 ? [response] : []), ...(kept === '' ? [] : [kept])];
      if (text.length === 0) {
        source.remove(decorator);
      } else {
        source.replace(decorator, text.join(`\n${this.indent(decorator)}`));
      }
    }
    if (old.length === 0) {
      source.insertBefore(node, `${response}\n${this.indent(node)}`);
    }
    source.import(`${LIBRARY}/http`, 'CachedResponse');
  }

  private otherInterceptors(call: ts.CallExpression): string {
    const name = this.source.localName(OLD_PACKAGE, 'CacheInterceptor');
    const isIt = call.expression.getText() === 'UseInterceptors';
    const others = isIt ? call.arguments.filter((argument) => argument.getText() !== name) : [];
    return others.map((other) => other.getText()).join(', ');
  }

  /** The interceptor of the application goes; this class keeps it. */
  private keepInterceptor(): void {
    this.source.insertBefore(this.controller, `@UseInterceptors(CacheInterceptor)\n`);
    this.source.import('@nestjs/common', 'UseInterceptors');
    this.source.import(OLD_PACKAGE, 'CacheInterceptor');
  }

  private indent(node: ts.Node): string {
    return /[ \t]*$/.exec(this.source.text.slice(0, node.getStart()))?.[0] ?? '';
  }
}
