import { createHash } from 'node:crypto';
import { encodeArgumentsOf, escapeName, encodeArguments } from './arguments.js';
import { encodeKeyWith, MAX_KEY_BYTES, PreparedKey, escapeKeyText } from './key-encoding.js';

/** Text that needs no escape, neither in quotes nor in a key; in a key, a leading `#` needs one as well. */
const PLAIN = /^[ -$&(-[\]-z|~]*$/;
const STARTS_A_KEY = /^[^#]/;
/** The length of the longest text of a number, `-1.2345678901234567e-300`. */
const LONGEST_NUMBER = 24;
/**
 * Maximum number of remembered keys per method, and the maximum length of their arguments: a few megabytes per method
 * at most, and only when it has so many keys.
 */
const MAX_REMEMBERED = 16_384;
const MAX_REMEMBERED_LENGTH = 100;

/**
 * The default key of a call: `Users.find(42,'bob')`. Two calls have the same key only if class, method and every
 * argument (type, value, number of arguments) are the same: `1` is not `'1'`, and records with the same properties in
 * another order are. Names may be any text; for a method under a symbol pass `String(symbol)`. The result is a key as an
 * application gives it: it is not yet escaped and shortened as Redis needs it.
 * @throws CacheKeyError for an argument that can't be distinguished from others
 */
export function methodKey(className: string, methodName: string, args: readonly unknown[]): string {
  const method = nameOf(className, methodName);
  return `${method}(${encodeArgumentsOf(method, args)})`;
}

/** Makes the keys of one method; the part that is the same in all of them is made once. */
export class MethodKeys {
  private readonly method: string;
  private readonly head: string;
  private readonly quotedHead: string;
  /** Maximum length of an argument that is put between head and tail without escaping; negative: none. */
  private readonly plainLength: number;
  /** Keys made recently, by their only argument: a text that is made anew must be hashed anew to be looked up. */
  private readonly memory = new Map<unknown, PreparedKey>();

  constructor(className: string, methodName: string) {
    this.method = nameOf(className, methodName);
    this.head = `${this.method}(`;
    this.quotedHead = `${this.head}'`;
    const isPlain = PLAIN.test(this.head) && STARTS_A_KEY.test(this.head);
    this.plainLength = isPlain ? MAX_KEY_BYTES - this.head.length - "'')".length : -1;
  }

  /**
   * The key of a call. For one plain string or one number, the usual case, it costs a scan of its characters and a
   * concatenation, and only the first time.
   * @param suffix version and dimensions
   * @throws CacheKeyError for an argument that can't be distinguished from others
   */
  of(args: readonly unknown[], suffix: string): PreparedKey {
    return (args.length === 1 && suffix === '' ? this.known(args[0]) : undefined) ?? this.make(args, suffix);
  }

  /** The key of a call with this one argument and no suffix, if it was made recently. */
  known(only: unknown): PreparedKey | undefined {
    return this.memory.get(only);
  }

  /** A method of its own, so that {@link of} is short enough for V8 to inline it into the decorated call. */
  private make(args: readonly unknown[], suffix: string): PreparedKey {
    if (args.length === 1 && suffix === '') {
      const only = args[0];
      if (typeof only === 'string' && only.length <= this.plainLength && PLAIN.test(only)) {
        return this.remember(only, `${this.quotedHead}${only}')`);
      }
      if (typeof only === 'number' && this.plainLength > LONGEST_NUMBER && !Object.is(only, -0)) {
        return this.remember(only, `${this.head}${only})`);
      }
    }
    const key = `${this.head}${encodeArgumentsOf(this.method, args)})`;
    return new PreparedKey(key + suffix, encodeKeyWith(key, suffix));
  }

  private remember(argument: string | number, key: string): PreparedKey {
    const prepared = new PreparedKey(key, key);
    if (argument === 0 || (typeof argument === 'string' && argument.length > MAX_REMEMBERED_LENGTH)) {
      return prepared; // in a Map, 0 and -0 are the same key
    }
    if (this.memory.size >= MAX_REMEMBERED) {
      this.memory.clear();
    }
    this.memory.set(argument, prepared);
    return prepared;
  }
}

function nameOf(className: string, methodName: string): string {
  return `${escapeName(className)}.${escapeName(methodName)}`;
}

/**
 * Matches `Class.method(` and the beginning of an argument list as `encodeArguments` writes it. The capital letter is
 * required so that `john.doe(1)`, a key of the application, is not taken for a method.
 */
const METHOD_KEY =
  /^([A-Z_$][\w$]*\.[\w$]+)\((?:[)'[(@\d-]|undefined\b|null\b|true\b|false\b|NaN\b|Infinity\b|[A-Z]\w*\()/;
const MAX_NAME_LENGTH = 80;

/**
 * A short name of a key for logs: `Users.find(…)#1a2b3c4d` for a default key of a method, `Users.find key#1a2b3c4d` for
 * a key that the `key` option of a method has made, or `key#1a2b3c4d`. Keys hold e-mail addresses and search terms, so
 * neither arguments nor keys of the application are shown. The digest makes the lines about one key findable; it does
 * not hide a key that can be guessed.
 * @param caller the method whose option has made the key
 */
export function describeKey(key: string, caller?: string): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 8);
  const name = methodOfKey(key);
  if (name === undefined) {
    return caller === undefined ? `key#${digest}` : `${shortened(caller)} key#${digest}`;
  }
  return `${name}(…)#${digest}`;
}

/** The method of a default key, shortened to 80 characters; `undefined` for a key of the application. */
export function methodOfKey(key: string): string | undefined {
  const name = METHOD_KEY.exec(key)?.[1];
  return name && shortened(name);
}

function shortened(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH - 1)}…` : name;
}

/** A value that a request may give a dimension. An empty text, `null`, `undefined` and `NaN` count as missing. */
export type DimensionValue = string | number | boolean | bigint | null | undefined;

/** Dimensions of a request by name: `{ tenant: 'acme', locale: 'de' }`. */
export type CacheDimensions = Readonly<Record<string, DimensionValue>>;

/*
 * The suffixes of a key: `%v2` for a version, `%i'cats'` for an instance, `%(locale:'de',tenant:'acme')` for dimensions,
 * in this order. In an encoded key of the application, `%` is always followed by two hex digits, so none contains `%v`,
 * `%i` or `%(`: the first of them ends the key itself, and the text after it can be parsed back. No suffix ends as a
 * hashed key does.
 */

/** The suffix of a key for the version of the code that makes its value. */
export function versionSuffix(version: string | number): string {
  return `%v${escapeKeyText(encodeArguments([version]))}`;
}

/** The suffix of a key for the instance on which a method is called. */
export function instanceSuffix(key: string): string {
  return `%i${escapeKeyText(encodeArguments([key]))}`;
}

/** The suffix of a key for dimensions. @param values name and value of each dimension, sorted by name, none missing */
export function dimensionsSuffix(values: readonly (readonly [name: string, value: DimensionValue])[]): string {
  const parts = values.map(([name, value]) => `${name}:${encodeArguments([value])}`);
  return `%(${escapeKeyText(parts.join(','))})`;
}

/** Whether a value may be part of a key: with any other value, different entries would become one. */
export function isDimensionValue(value: unknown): value is string | number | boolean | bigint {
  switch (typeof value) {
    case 'string':
      return value !== '';
    case 'number':
      return !Number.isNaN(value);
    default:
      return typeof value === 'boolean' || typeof value === 'bigint';
  }
}

const DIMENSION_NAME = /^[A-Za-z_$][\w$-]*$/;

/** Whether this may be the name of a dimension: it is written into keys as it is. */
export function isDimensionName(name: unknown): name is string {
  return typeof name === 'string' && DIMENSION_NAME.test(name);
}
