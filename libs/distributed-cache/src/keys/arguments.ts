import { types } from 'node:util';
import { hasEnumerableSymbols, hiddenStateIn, isObjectPrototype, propertyStep } from '../values/index.js';
import { CacheKeyError } from './key-encoding.js';

/*
 * The text form of a list of arguments. It could be parsed back, which makes it injective.
 *
 *   undefined null true 1 -0 NaN 1n 'text' [1,empty*2,3] (name:'Ada','e-mail':null)
 *   Date(…) RegExp('a','g') URL('…') Buffer(base64url) Map('a':1) Set(1,2) @Money('12.50') @FindUsers(page:1,sort:'name')
 *
 * The first character identifies the kind of value. A record is written in round brackets because encodeKey would have
 * to escape braces. An instance of a class begins with `@`, so it differs from a record, from its JSON value and from a
 * built-in of its name. The brackets hold one value, the result of toJSON(), or any number of `name:value`, the
 * properties of an instance without toJSON(). A date of Moment, Day.js or Luxon has its time zone and language after the
 * value: @Moment('2023-11-14T22:13:20.123Z','Europe/Rome','it').
 */

/** Arguments nested deeper than this are refused before they overflow the stack. */
const MAX_DEPTH = 100;
/** The remedy that every refusal offers. */
const CHOOSE_KEY = 'pass `key: (…) => string` to the decorator';

/**
 * Encodes a list of arguments. Values that are equal have the same text, others never do: `1` is not `'1'`, `undefined`
 * is not `null` nor a missing argument, `0` is not `-0`, a hole is not `undefined`, a `Map` is not a record, a `Buffer`
 * is not a `Uint8Array`. A date of Moment, Day.js or Luxon counts with its time zone and language.
 *
 * Equal by design: records with the same properties in another order, and records without a prototype; `Map`s and
 * `Set`s with the same content in another order (entries are sorted by their text); instances of two classes with the
 * same name whose `toJSON()` give equal values, or, without `toJSON()`, whose properties are equal. Only own enumerable
 * properties count, and each is read once. Extra properties of a typed array, besides its elements, are ignored.
 * @throws CacheKeyError for a value without such a text (functions, symbols, promises, errors, boxed primitives,
 * instances without `toJSON()` whose state can't be seen, properties under symbols), for cycles, and deeper than 100
 * levels
 */
export function encodeArguments(args: readonly unknown[]): string {
  return encodeArgumentsOf('the call', args);
}

/** Encodes the arguments of a call. @param call the name of the call, for messages: `Users.find` */
export function encodeArgumentsOf(call: string, args: readonly unknown[]): string {
  if (args.length === 1) {
    const [only] = args;
    if (typeof only === 'string') {
      return quoteText(only);
    }
    if (typeof only === 'number') {
      return encodeNumber(only);
    }
  }
  const trail = new ArgumentTrail(call);
  let text = '';
  for (let index = 0; index < args.length; index += 1) {
    trail.step(index);
    text += (index === 0 ? '' : ',') + encodeValue(args[index], trail);
  }
  return text;
}

function encodeNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function encodeValue(value: unknown, trail: ArgumentTrail): string {
  switch (typeof value) {
    case 'string':
      return quoteText(value);
    case 'number':
      return encodeNumber(value);
    case 'bigint':
      return `${value}n`;
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'object':
      return value === null ? 'null' : encodeNested(value, trail);
    case 'function':
      throw trail.refusal('it is a function or a class', `Pass data instead, or ${CHOOSE_KEY}`);
    default:
      throw trail.refusal('it is a symbol', `Pass a string instead, or ${CHOOSE_KEY}`);
  }
}

function encodeNested(value: object, trail: ArgumentTrail): string {
  trail.enter(value);
  const text = encodeObject(value, trail);
  trail.leave();
  return text;
}

function encodeObject(value: object, trail: ArgumentTrail): string {
  if (isPlainObject(value)) {
    return encodeRecord(value, trail);
  }
  if (Array.isArray(value) && countPrototypes(value) === 2) {
    return encodeArray(value, trail);
  }
  const encoded = encodeBuiltIn(value) ?? encodeCollection(value, trail);
  if (encoded === undefined) {
    return encodeInstance(value, trail);
  }
  // The keys of a typed array would include its elements.
  if (!ArrayBuffer.isView(value) && Object.keys(value).length > 0) {
    trail.stepBack();
    const reason = `it is a ${classNameOf(value)} with properties of its own`;
    throw trail.refusal(reason, `Pass them beside it, or ${CHOOSE_KEY}`);
  }
  return encoded;
}

function encodeRecord(record: object, trail: ArgumentTrail): string {
  refuseSymbols(record, trail);
  return `(${encodeProperties(record as Record<string, unknown>, trail)})`;
}

function encodeProperties(record: Record<string, unknown>, trail: ArgumentTrail): string {
  let text = '';
  for (const name of Object.keys(record).sort()) {
    trail.step(name);
    text += `${text === '' ? '' : ','}${isIdentifier(name) ? name : quoteText(name)}:${encodeValue(record[name], trail)}`;
  }
  return text;
}

/** The loop is over the keys, not the length: a nearly empty array of a billion holes costs nothing. */
function encodeArray(array: readonly unknown[], trail: ArgumentTrail): string {
  refuseSymbols(array, trail);
  const parts: string[] = [];
  let next = 0;
  for (const key of Object.keys(array)) {
    const index = Number(key);
    if (!(index < array.length && String(index) === key)) {
      trail.stepBack();
      throw trail.refusal('it is an array with named properties', `Pass them beside it, or ${CHOOSE_KEY}`);
    }
    pushHoles(parts, index - next);
    trail.step(index);
    parts.push(encodeValue(array[index], trail));
    next = index + 1;
  }
  pushHoles(parts, array.length - next);
  return `[${parts.join(',')}]`;
}

function pushHoles(parts: string[], count: number): void {
  if (count > 0) {
    parts.push(`empty*${count}`);
  }
}

function encodeCollection(value: object, trail: ArgumentTrail): string | undefined {
  if (countPrototypes(value) !== 2) {
    return undefined;
  }
  if (types.isMap(value)) {
    trail.step('[entry]');
    const entries = Array.from(value, ([key, item]) => `${encodeValue(key, trail)}:${encodeValue(item, trail)}`);
    return `Map(${entries.sort().join(',')})`;
  }
  if (types.isSet(value)) {
    trail.step('[entry]');
    return `Set(${Array.from(value, (item) => encodeValue(item, trail))
      .sort()
      .join(',')})`;
  }
  return undefined;
}

function encodeInstance(value: object, trail: ArgumentTrail): string {
  if (types.isPromise(value)) {
    throw trail.refusal('it is a promise', `Await it before the call, or ${CHOOSE_KEY}`);
  }
  if (types.isNativeError(value)) {
    throw trail.refusal('it is an error', `Pass what identifies it, or ${CHOOSE_KEY}`);
  }
  if (types.isBoxedPrimitive(value)) {
    throw trail.refusal('it is a boxed primitive', `Pass the primitive itself, or ${CHOOSE_KEY}`);
  }
  const className = classNameOf(value);
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON !== 'function') {
    return `@${escapeName(className)}${encodePlainInstance(value, className, trail)}`;
  }
  trail.step('toJSON');
  const json: unknown = Reflect.apply(toJSON, value, ['']);
  const parts = [json, ...zoneAndLocale(value)].map((part) => encodeValue(part, trail));
  return `@${escapeName(className)}(${parts.join()})`;
}

/** The fields and methods by which the dates of Moment, Day.js and Luxon tell their time zone and language. */
interface ZonedDate {
  readonly utcOffset?: unknown;
  readonly zoneName?: unknown;
  readonly locale?: unknown;
  readonly numberingSystem?: unknown;
  readonly outputCalendar?: unknown;
  readonly _z?: { readonly name?: unknown };
  readonly $x?: { readonly $timezone?: unknown };
}

/**
 * What the `toJSON()` of a date of Moment, Day.js or Luxon leaves out. Two dates of one instant in two zones have
 * different days and formats, so a method may answer them differently.
 */
function zoneAndLocale(date: ZonedDate): unknown[] {
  const { utcOffset, zoneName, locale, numberingSystem, outputCalendar, _z, $x } = date;
  if (typeof utcOffset === 'function' && typeof locale === 'function') {
    const zone: unknown = _z?.name ?? $x?.$timezone ?? Reflect.apply(utcOffset, date, []);
    return [zone, Reflect.apply(locale, date, [])];
  }
  return typeof zoneName === 'string' ? [zoneName, locale, numberingSystem, outputCalendar] : [];
}

/** Encodes the properties of an instance of plain data, such as a DTO or a query. */
function encodePlainInstance(instance: object, className: string, trail: ArgumentTrail): string {
  const hidden = className === '' ? 'two classes without a name are not told apart' : hiddenStateIn(instance);
  if (hidden !== undefined) {
    const owner = className === '' ? 'a class without a name' : className;
    const reason = `it is an instance of ${owner}, which has no toJSON(), and ${hidden}`;
    throw trail.refusal(reason, `Give the class a toJSON(), pass plain data instead, or ${CHOOSE_KEY}`);
  }
  return encodeRecord(instance, trail);
}

function refuseSymbols(value: object, trail: ArgumentTrail): void {
  if (hasEnumerableSymbols(value)) {
    throw trail.refusal('it has a property under a symbol', `Name the property by a string, or ${CHOOSE_KEY}`);
  }
}

/**
 * Encodes a built-in object that holds no other values: `Date`, `RegExp`, `URL`, `URLSearchParams`, buffers and views.
 * It returns `undefined` for any other object, including instances of their subclasses: those may carry state that
 * can't be seen. `node:util` checks what an object is, not what it claims to be, and does so across realms.
 */
function encodeBuiltIn(value: object): string | undefined {
  if (ArrayBuffer.isView(value)) {
    return encodeView(value);
  }
  if (countPrototypes(value) !== 2) {
    return undefined;
  }
  if (types.isDate(value)) {
    return `Date(${Number.isNaN(value.getTime()) ? 'NaN' : value.toISOString()})`;
  }
  if (types.isRegExp(value)) {
    return encodeRegExp(value);
  }
  if (value instanceof URL) {
    return `URL(${quoteText(value.href)})`;
  }
  if (value instanceof URLSearchParams) {
    return `URLSearchParams(${quoteText(value.toString())})`;
  }
  if (types.isAnyArrayBuffer(value)) {
    const name = types.isSharedArrayBuffer(value) ? 'SharedArrayBuffer' : 'ArrayBuffer';
    return `${name}(${Buffer.from(value).toString('base64url')})`;
  }
  return undefined;
}

/** Encodes the bytes of a view; its offset and the rest of its buffer do not matter. */
function encodeView(view: ArrayBufferView): string | undefined {
  const name = viewName(view);
  return name && `${name}(${Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64url')})`;
}

function viewName(view: ArrayBufferView): string | undefined {
  const prototypes = countPrototypes(view);
  if (Buffer.isBuffer(view)) {
    return prototypes === 4 ? 'Buffer' : undefined;
  }
  if (types.isTypedArray(view)) {
    return prototypes === 3 ? view[Symbol.toStringTag] : undefined;
  }
  return prototypes === 2 ? 'DataView' : undefined;
}

/**
 * Encodes a regular expression. One with `g` or `y` matches from where it stopped, so its position is part of its
 * value.
 */
function encodeRegExp(expression: RegExp): string {
  const { source, flags, lastIndex } = expression;
  return `RegExp(${quoteText(source)},${quoteText(flags)}${lastIndex === 0 ? '' : `,${lastIndex}`})`;
}

/** The length of the prototype chain of `value`: 1 for `{}`, 2 for an array or a `Date`, one more for a subclass's. */
function countPrototypes(value: object): number {
  let count = 0;
  let prototype = Reflect.getPrototypeOf(value);
  while (prototype !== null) {
    count += 1;
    prototype = Reflect.getPrototypeOf(prototype);
  }
  return count;
}

/**
 * Whether `value` is a record: `{…}`, or an object without a prototype, also one of another realm (`vm`, test runners).
 * The tag excludes `arguments`, `Math` and module namespaces, whose prototypes look the same.
 */
function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype = Reflect.getPrototypeOf(value);
  return (
    (prototype === null || isObjectPrototype(prototype)) && Object.prototype.toString.call(value) === '[object Object]'
  );
}

/** The name of the class of `value`; `''` when the class has none. */
function classNameOf(value: object): string {
  const { constructor } = value as { constructor?: unknown };
  const name: unknown = typeof constructor === 'function' ? constructor.name : '';
  return typeof name === 'string' ? name : '';
}

const QUOTE_BREAKERS = /['\\\p{Cs}]/u;
const EVERY_QUOTE_BREAKER = /['\\\p{Cs}]/gu;
const NAME_BREAKERS = /[.(\\]/;
const EVERY_NAME_BREAKER = /[.(\\]/g;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/**
 * Quotes a text as `'text'`, with `'` and `\` escaped. A lone surrogate becomes `\ud800`, so a text that a user typed
 * is never a reason to refuse a call, although a raw key with one is refused.
 */
function quoteText(text: string): string {
  return QUOTE_BREAKERS.test(text) ? `'${text.replace(EVERY_QUOTE_BREAKER, escapeInQuotes)}'` : `'${text}'`;
}

function escapeInQuotes(character: string): string {
  return character === "'" || character === '\\' ? `\\${character}` : `\\u${character.charCodeAt(0).toString(16)}`;
}

/** Escapes a class or method name, in which `.` and `(` are separators: `a.b` + `c` is never `a` + `b.c`. */
export function escapeName(name: string): string {
  return NAME_BREAKERS.test(name) ? name.replace(EVERY_NAME_BREAKER, String.raw`\$&`) : name;
}

function isIdentifier(text: string): boolean {
  return IDENTIFIER.test(text);
}

/**
 * The path from the argument list to the current value. It detects cycles, limits the depth, and gives a refusal the
 * position of the refused value. A step is an index, a property name, or a remark in brackets.
 */
class ArgumentTrail {
  private readonly ancestors: object[] = [];
  private readonly steps: (number | string)[] = [];

  /** @param call the call whose arguments these are, for messages */
  constructor(private readonly call: string) {}

  /** Sets which child of the current value comes next. */
  step(next: number | string): void {
    this.steps[this.ancestors.length] = next;
  }

  /** Removes the step: the children are done, or have not begun, and a refusal concerns the current value itself. */
  stepBack(): void {
    this.steps.length = this.ancestors.length;
  }

  enter(value: object): void {
    if (this.ancestors.includes(value)) {
      throw this.refusal('it contains itself', `Pass plain data without cycles, or ${CHOOSE_KEY}`);
    }
    if (this.ancestors.length >= MAX_DEPTH) {
      throw this.refusal(`it is nested deeper than ${MAX_DEPTH} levels`, `Pass flatter data, or ${CHOOSE_KEY}`);
    }
    this.ancestors.push(value);
    this.stepBack();
  }

  leave(): void {
    this.ancestors.pop();
  }

  /** Makes the error for the current value. @param reason the kind of the value, never its content */
  refusal(reason: string, remedy: string): CacheKeyError {
    return new CacheKeyError(`${this.place()} can't be part of a cache key: ${reason}`, remedy);
  }

  private place(): string {
    const [argument = 0, ...rest] = this.steps.slice(0, this.ancestors.length + 1);
    // A path of a hundred steps would hide the reason.
    const shown = rest.slice(0, 8).map((step) => (typeof step === 'number' ? `[${step}]` : propertyStep(step)));
    const path = shown.join('') + (rest.length > 8 ? '…' : '');
    return `Argument ${Number(argument) + 1} of ${this.call}${path === '' ? '' : ` (at ${path})`}`;
  }
}
