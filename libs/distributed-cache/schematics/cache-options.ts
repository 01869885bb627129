import type ts from 'typescript';
import type { SourceFile } from './source.js';

/** What options of `CacheModule` become. */
export interface TranslatedOptions {
  /** The fields of the options of `DistributedCacheModule`, as text. */
  readonly fields: readonly string[];
  /** The TTL of all entries, as text; none: it was not limited. */
  readonly ttl: string | undefined;
  /** What has no successor, or another effect. */
  readonly left: readonly string[];
}

const LIFELONG =
  'has no ttl: entries stayed until they were removed, and now live as long as CACHE_TTL_DEFAULT says (1 hour)';

/** Options that have an effect of their own on `CacheModule`, but none here. */
const WITHOUT_SUCCESSOR: Readonly<Record<string, string>> = {
  refreshThreshold: 'is not translated: see refreshAhead in docs/freshness.md',
  nonBlocking: 'is not translated: a call never waits for Redis longer than CACHE_DEADLINE_MS',
  cacheId: 'is not translated',
  namespace: 'is not translated: CACHE_KEY_PREFIX is the first part of every key',
  isCacheable: 'is not translated: see cacheIf in docs/decorators.md',
};

/** Options of a Redis connection that are called the same, and those that are not. */
const CONNECTION: Readonly<Record<string, string>> = {
  url: 'url',
  host: 'host',
  port: 'port',
  path: 'path',
  username: 'username',
  password: 'password',
  auth_pass: 'password',
  db: 'db',
  database: 'db',
  family: 'family',
  tls: 'tls',
  sentinels: 'sentinels',
  name: 'name',
};

/** A duration as the library takes it: `'5s'` for 5000. */
export function durationText(ms: number, quote = "'"): string {
  const [unit, size] = (
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1000],
    ] as const
  ).find(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1];
  return `${quote}${ms / size}${unit}${quote}`;
}

/** Reads expressions of one file. */
export class OptionReader {
  constructor(private readonly source: SourceFile) {}

  /** A number that the text alone tells, or undefined. */
  number(node: ts.Expression): number | undefined {
    const { compiler } = this.source;
    const value = this.resolve(node);
    if (compiler.isNumericLiteral(value)) {
      return Number(value.text);
    }
    if (!compiler.isBinaryExpression(value)) {
      return undefined;
    }
    const [left, right] = [this.number(value.left), this.number(value.right)];
    if (left === undefined || right === undefined) {
      return undefined;
    }
    switch (value.operatorToken.kind) {
      case compiler.SyntaxKind.AsteriskToken:
        return left * right;
      case compiler.SyntaxKind.SlashToken:
        return left / right;
      case compiler.SyntaxKind.PlusToken:
        return left + right;
      case compiler.SyntaxKind.MinusToken:
        return left - right;
      default:
        return undefined;
    }
  }

  /** Milliseconds as a duration, also those that only the running program knows. `undefined` for "no limit". */
  duration(node: ts.Expression): string | undefined {
    const ms = this.number(node);
    const isText = this.source.compiler.isStringLiteralLike(node);
    return ms === undefined
      ? isText
        ? node.getText()
        : `Number(${node.getText()}) / 1000`
      : ms > 0
        ? durationText(ms)
        : undefined;
  }

  /** The options of `CacheModule.register`, or undefined when they are no object that can be read. */
  translate(options: ts.Expression | undefined): TranslatedOptions | undefined {
    const { compiler } = this.source;
    if (options === undefined) {
      return { fields: ['redis: false'], ttl: undefined, left: [LIFELONG] };
    }
    const object = this.resolve(options);
    if (!compiler.isObjectLiteralExpression(object)) {
      return undefined;
    }
    const found = new Found();
    const isTtl = (property: ts.ObjectLiteralElementLike) => property.name?.getText() === 'ttl';
    for (const property of object.properties.toSorted((a, b) => Number(isTtl(b)) - Number(isTtl(a)))) {
      const value = this.valueOf(property);
      if (value === undefined) {
        return undefined;
      }
      this.readOption(property.name?.getText() ?? '', value, found);
    }
    return found.translated();
  }

  private readOption(name: string, value: ts.Expression, found: Found): void {
    const { compiler } = this.source;
    if (name === 'isGlobal') {
      if (value.kind === compiler.SyntaxKind.FalseKeyword) {
        found.left.push('isGlobal: false is dropped: the cache of the application is there for all modules');
      }
    } else if (name === 'ttl') {
      found.limit(this.duration(value));
    } else if (name === 'max') {
      found.maxEntries = value.getText();
    } else if (name === 'stores' || name === 'store') {
      const list = this.resolve(value);
      for (const store of compiler.isArrayLiteralExpression(list) ? list.elements : [list]) {
        this.readStore(store, found);
      }
    } else if (CONNECTION[name] !== undefined) {
      found.connection.push(`${CONNECTION[name]}: ${value.getText()}`);
    } else {
      found.left.push(`${name} ${WITHOUT_SUCCESSOR[name] ?? 'is not translated: there is no such option'}`);
    }
  }

  private readStore(node: ts.Expression, found: Found): void {
    const { compiler } = this.source;
    const store = this.resolve(node);
    const isMade = compiler.isCallExpression(store) || compiler.isNewExpression(store);
    const callee = isMade ? store.expression.getText() : store.getText();
    const from = this.source.imports.get(callee);
    const argument = isMade ? store.arguments?.[0] : undefined;
    if (from?.module === 'keyv' || from?.name === 'Keyv' || callee === 'KeyvAdapter') {
      this.readKeyv(argument, found);
    } else if (/^@keyv\/(redis|valkey)$|redis/i.test(from?.module ?? '')) {
      this.readRedis(argument, found, node);
    } else if (
      from?.module === 'cacheable' ||
      store.getText() === 'memory' ||
      /^['"]memory['"]$/.test(store.getText())
    ) {
      this.readMemory(argument, found);
    } else {
      found.left.push(`the store ${node.getText()} is dropped: entries are kept in memory and in Redis`);
    }
  }

  private readKeyv(argument: ts.Expression | undefined, found: Found): void {
    const { compiler } = this.source;
    const options = argument === undefined ? undefined : this.resolve(argument);
    if (options === undefined || !compiler.isObjectLiteralExpression(options)) {
      if (argument !== undefined) {
        this.readStore(argument, found);
      }
      return;
    }
    for (const property of options.properties) {
      const [name, value] = [property.name?.getText() ?? '', this.valueOf(property)];
      if (name === 'store' && value !== undefined) {
        this.readStore(value, found);
      } else if (name === 'ttl' && value !== undefined) {
        found.limit(this.duration(value));
      } else {
        found.left.push(
          `${name || property.getText()} of new Keyv() ${WITHOUT_SUCCESSOR[name] ?? 'is not translated'}`,
        );
      }
    }
  }

  private readRedis(argument: ts.Expression | undefined, found: Found, store: ts.Node): void {
    const { compiler } = this.source;
    if (found.connection.length > 0 && argument !== undefined) {
      found.left.push(`the store ${store.getText()} is dropped: there is one Redis`);
      return;
    }
    found.hasRedis = true;
    const options = argument === undefined ? undefined : this.resolve(argument);
    if (options === undefined || !compiler.isObjectLiteralExpression(options)) {
      found.connection.push(...(argument === undefined ? [] : [`url: ${argument.getText()}`]));
      return;
    }
    for (const property of options.properties) {
      const [name, value] = [property.name?.getText() ?? '', this.valueOf(property)];
      if (name === 'socket' && value !== undefined && compiler.isObjectLiteralExpression(value)) {
        this.readRedis(value, found, store);
      } else if (name === 'ttl' && value !== undefined) {
        found.limit(this.duration(value));
      } else if (value !== undefined && CONNECTION[name] !== undefined) {
        found.connection.push(`${CONNECTION[name]}: ${value.getText()}`);
      } else {
        found.left.push(
          `${name || property.getText()} of the Redis store is not translated: see redis in docs/configuration.md`,
        );
      }
    }
  }

  private readMemory(argument: ts.Expression | undefined, found: Found): void {
    const options = argument === undefined ? undefined : this.resolve(argument);
    if (options === undefined || !this.source.compiler.isObjectLiteralExpression(options)) {
      return;
    }
    for (const property of options.properties) {
      const [name, value] = [property.name?.getText() ?? '', this.valueOf(property)];
      if (name === 'lruSize' && value !== undefined) {
        found.maxEntries = value.getText();
      } else if (name === 'ttl' && value !== undefined) {
        found.limitInMemory(this.duration(value));
      } else {
        found.left.push(
          `${name || property.getText()} of the memory store is not translated: see local in docs/configuration.md`,
        );
      }
    }
  }

  /** What a name, a cast, `await` or a pair of brackets stands for, within the file. */
  private resolve(node: ts.Expression): ts.Expression {
    const { compiler } = this.source;
    if (
      compiler.isParenthesizedExpression(node) ||
      compiler.isAwaitExpression(node) ||
      compiler.isAsExpression(node) ||
      compiler.isSatisfiesExpression(node) ||
      compiler.isNonNullExpression(node)
    ) {
      return this.resolve(node.expression);
    }
    if (!compiler.isIdentifier(node)) {
      return node;
    }
    const [declared, another] = this.source
      .find(compiler.isVariableDeclaration)
      .filter((declaration) => declaration.name.getText() === node.text);
    const isConstant =
      declared !== undefined && another === undefined && (declared.parent.flags & compiler.NodeFlags.Const) !== 0;
    return isConstant && declared.initializer !== undefined ? this.resolve(declared.initializer) : node;
  }

  /** The value of a property; undefined for a spread and a method. */
  private valueOf(property: ts.ObjectLiteralElementLike): ts.Expression | undefined {
    const { compiler } = this.source;
    if (compiler.isPropertyAssignment(property)) {
      return property.initializer;
    }
    return compiler.isShorthandPropertyAssignment(property) ? property.name : undefined;
  }
}

/** What has been read of the options so far. */
class Found {
  readonly connection: string[] = [];
  readonly left: string[] = [];
  hasRedis = false;
  maxEntries: string | undefined;
  private ttl: string | undefined;

  /** The first limit that is named counts: the one of the module stands before those of its stores. */
  limit(ttl: string | undefined): void {
    this.ttl ??= ttl;
  }

  limitInMemory(ttl: string | undefined): void {
    if (this.ttl === undefined && ttl !== undefined) {
      this.left.push(`the ttl ${ttl} of the memory store counts in Redis, too`);
    }
    this.limit(ttl);
  }

  translated(): TranslatedOptions {
    const { connection, maxEntries, ttl } = this;
    const redis =
      connection.length > 0 ? `redis: { ${connection.join(', ')} }` : this.hasRedis ? undefined : 'redis: false';
    const fields = [
      redis,
      maxEntries === undefined ? undefined : `local: { maxEntries: ${maxEntries} }`,
      ttl === undefined ? undefined : `namespaces: { 'cache-manager': { ttl: ${ttl} } }`,
    ];
    return {
      fields: fields.filter((field) => field !== undefined),
      ttl,
      left: ttl === undefined ? [...this.left, LIFELONG] : this.left,
    };
  }
}
