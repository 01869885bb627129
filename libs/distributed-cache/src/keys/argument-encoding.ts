import { types } from 'node:util';
import { ArgumentTrail, CHOOSE_KEY } from './argument-trail.js';
import { encodeBuiltIn } from './built-in-encoding.js';
import { classNameOf, countPrototypes, hasEnumerableSymbols, isPlainObject } from './object-kind.js';
import { escapeName, isIdentifier, quoteText } from './quoted-text.js';

/*
 * The text form of a list of arguments. It could be parsed back, which makes it injective.
 *
 *   undefined null true 1 -0 NaN 1n 'text' [1,empty*2,3] (name:'Ada','e-mail':null)
 *   Date(…) RegExp('a','g') URL('…') Buffer(base64url) Map('a':1) Set(1,2) @Money('12.50')
 *
 * The first character identifies the kind of value. A record is written in round brackets because encodeKey would have
 * to escape braces. An instance with toJSON() begins with `@`, so it differs from its JSON value and from a built-in of
 * its name.
 */

/**
 * Encodes a list of arguments. Values that are equal have the same text, others never do: `1` is not `'1'`, `undefined`
 * is not `null` nor a missing argument, `0` is not `-0`, a hole is not `undefined`, a `Map` is not a record, a `Buffer`
 * is not a `Uint8Array`.
 *
 * Equal by design: records with the same properties in another order, and records without a prototype; `Map`s and
 * `Set`s with the same content in another order (entries are sorted by their text); instances of two classes with the
 * same name whose `toJSON()` give equal values. Only own enumerable properties count, and each is read once. Extra
 * properties of a typed array, besides its elements, are ignored.
 * @throws CacheKeyError for a value without such a text (functions, symbols, promises, errors, boxed primitives,
 * instances without `toJSON()`, properties under symbols), for cycles, and deeper than 100 levels
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
  // A list of the keys of a typed array would contain its elements.
  if (!ArrayBuffer.isView(value) && Object.keys(value).length > 0) {
    trail.stepBack();
    const reason = `it is a ${classNameOf(value)} that somebody gave properties`;
    throw trail.refusal(reason, `Pass them beside it, or ${CHOOSE_KEY}`);
  }
  return encoded;
}

function encodeRecord(record: Record<string, unknown>, trail: ArgumentTrail): string {
  refuseSymbols(record, trail);
  let text = '';
  for (const name of Object.keys(record).sort()) {
    trail.step(name);
    text += `${text === '' ? '' : ','}${isIdentifier(name) ? name : quoteText(name)}:${encodeValue(record[name], trail)}`;
  }
  return `(${text})`;
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
    const reason = `it is an instance of ${className === '' ? 'a class without a name' : className}, which has no toJSON()`;
    throw trail.refusal(reason, `Give the class a toJSON(), pass plain data instead, or ${CHOOSE_KEY}`);
  }
  trail.step('toJSON');
  const json: unknown = Reflect.apply(toJSON, value, ['']);
  return `@${escapeName(className)}(${encodeValue(json, trail)})`;
}

function refuseSymbols(value: object, trail: ArgumentTrail): void {
  if (hasEnumerableSymbols(value)) {
    throw trail.refusal('it has a property under a symbol', `Name the property by a string, or ${CHOOSE_KEY}`);
  }
}
