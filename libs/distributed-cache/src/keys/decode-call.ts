import { decodeKeyText } from './key-encoding.js';
import type { CacheDimensions, DimensionValue } from './method-key.js';

/*
 * The way back from an encoded key to its text, its dimensions and its arguments: see key-encoding.ts, method-key.ts and
 * arguments.ts. An instance of a class of the application can't be made from a key, nor can a key that ends in a digest
 * be read. The caller compares the key of what it gets with the key that it had.
 */

/** An encoded key in its parts. */
export interface DecodedKey {
  /** The key as the method, or the application, has given it. */
  readonly text: string;
  /** The dimensions of the request; none if the key has none. */
  readonly dimensions: CacheDimensions;
}

const SUFFIX = /%[vi(]/;
const DIMENSIONS = /%\((.*)\)$/s;
const ENDS_LIKE_HASHED = /~[\w-]{43}$/;

/** The parts of an encoded key; `undefined` for one that ends in a digest, or that is none. */
export function decodeKey(encoded: string): DecodedKey | undefined {
  if (ENDS_LIKE_HASHED.test(encoded)) {
    return undefined;
  }
  const suffixAt = encoded.search(SUFFIX);
  const suffix = suffixAt === -1 ? '' : encoded.slice(suffixAt);
  const text = decodeKeyText(suffixAt === -1 ? encoded : encoded.slice(0, suffixAt));
  const inBrackets = DIMENSIONS.exec(suffix)?.[1];
  if (text === undefined || inBrackets === undefined) {
    return text === undefined ? undefined : { text, dimensions: {} };
  }
  const fields = decodeArguments(`(${decodeKeyText(inBrackets) ?? ''})`)?.[0];
  return fields === undefined ? undefined : { text, dimensions: fields as Readonly<Record<string, DimensionValue>> };
}

/** The arguments of a default key, from the text between its brackets; `undefined` if they can't be made from it. */
export function decodeArguments(text: string): unknown[] | undefined {
  try {
    const reader = new ArgumentReader(text);
    const args = reader.list('');
    return reader.isAtEnd ? args : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError || error instanceof TypeError) {
      return undefined; // no text of arguments, or values that a class refuses
    }
    throw error;
  }
}

const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['undefined', undefined],
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

const VIEWS: readonly (new (bytes: ArrayBuffer) => ArrayBufferView)[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
];

/** What the name before a bracket makes of the values within it. */
const MAKERS: ReadonlyMap<string, (args: unknown[]) => object> = new Map<string, (args: unknown[]) => object>([
  ['RegExp', ([source, flags, lastIndex]) => regExpOf(String(source), String(flags), lastIndex)],
  ['URL', ([href]) => new URL(String(href))],
  ['URLSearchParams', ([query]) => new URLSearchParams(String(query))],
  ['Set', (items) => new Set(items)],
]);

function regExpOf(source: string, flags: string, lastIndex: unknown): RegExp {
  return Object.assign(new RegExp(source, flags), { lastIndex: typeof lastIndex === 'number' ? lastIndex : 0 });
}

/** Reads the text form of arguments. Every method throws a SyntaxError for another text. */
class ArgumentReader {
  private at = 0;

  constructor(private readonly text: string) {}

  get isAtEnd(): boolean {
    return this.at === this.text.length;
  }

  /** Values up to the closing sign; `''`: up to the end. */
  list(closing: string): unknown[] {
    const items: unknown[] = [];
    while (!this.closes(closing)) {
      if (items.length > 0) {
        this.expect(',');
      }
      const holes = closing === ']' ? this.match(/empty\*(\d+)/y) : undefined;
      if (holes === undefined) {
        items.push(this.value());
      } else {
        items.length += Number(holes[1]);
      }
    }
    return items;
  }

  private value(): unknown {
    switch (this.text[this.at]) {
      case "'":
        return this.quoted();
      case '[':
        this.at++;
        return this.list(']');
      case '(':
        this.at++;
        return Object.fromEntries(this.pairs(')', () => this.match(/[A-Za-z_$][\w$-]*/y)?.[0] ?? this.quoted()));
      default:
        return this.number() ?? this.named();
    }
  }

  private number(): number | bigint | undefined {
    const [digits, , sign] = this.match(/-?\d+(\.\d+)?(?:e[+-]\d+)?(n?)/y) ?? [];
    if (digits === undefined) {
      return undefined;
    }
    return sign === 'n' ? BigInt(digits.slice(0, -1)) : Number(digits);
  }

  /** A word, or a name with its values in brackets. */
  private named(): unknown {
    const [name = ''] = this.match(/-?[A-Za-z]\w*/y) ?? [];
    if (WORDS.has(name)) {
      return WORDS.get(name);
    }
    this.expect('(');
    if (name === 'Map') {
      return new Map(this.pairs(')', () => this.value()));
    }
    const make = MAKERS.get(name);
    if (make !== undefined) {
      return make(this.list(')'));
    }
    const [content = ''] = this.match(/[\w:.+-]*/y) ?? [];
    this.expect(')');
    return name === 'Date' ? new Date(content === 'NaN' ? Number.NaN : content) : bytesOf(name, content);
  }

  private pairs<Name>(closing: string, name: () => Name): [Name, unknown][] {
    const pairs: [Name, unknown][] = [];
    while (!this.closes(closing)) {
      if (pairs.length > 0) {
        this.expect(',');
      }
      const key = name();
      this.expect(':');
      pairs.push([key, this.value()]);
    }
    return pairs;
  }

  private quoted(): string {
    const [, content] = this.match(/'((?:[^'\\]|\\.)*)'/sy) ?? [];
    if (content === undefined) {
      throw new SyntaxError('no text in quotes');
    }
    return content.replace(/\\(u([0-9a-f]{4})|['\\])/g, (_all, escape: string, code: string | undefined) =>
      code === undefined ? escape : String.fromCharCode(Number.parseInt(code, 16)),
    );
  }

  private closes(closing: string): boolean {
    if (closing === '' ? !this.isAtEnd : this.text[this.at] !== closing) {
      return false;
    }
    this.at += closing.length;
    return true;
  }

  private expect(sign: string): void {
    if (this.text[this.at] !== sign) {
      throw new SyntaxError(`no ${sign}`);
    }
    this.at++;
  }

  /** @param pattern a sticky one */
  private match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text) ?? undefined;
    this.at += found?.[0].length ?? 0;
    return found;
  }
}

function bytesOf(name: string, base64: string): object {
  const buffer = Buffer.from(base64, 'base64url');
  if (name === 'Buffer') {
    return buffer;
  }
  const bytes = Uint8Array.from(buffer).buffer;
  const View = VIEWS.find((each) => each.name === name);
  if (name !== 'ArrayBuffer' && View === undefined) {
    throw new SyntaxError('no name of a kind of values');
  }
  return View === undefined ? bytes : new View(bytes);
}
