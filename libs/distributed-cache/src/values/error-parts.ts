import { defineProperty, isObject } from './kinds.js';

/**
 * The stored parts of an error. The type is one of the language's own; an error of any other class is restored as a
 * plain `Error` that still carries its name. The stack is not kept.
 */
interface ErrorParts {
  readonly type: string;
  readonly name: string;
  readonly message: string;
  /** When it is absent the error has no `cause`, which differs from a `cause` of `undefined`. */
  readonly cause?: unknown;
  /** Only for an `AggregateError`. */
  readonly errors?: unknown;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * The closed list of the types that may be restored. It is a Map, so no text from outside can reach a prototype through
 * it.
 */
const ERROR_TYPES: ReadonlyMap<string, ErrorConstructor> = new Map(
  [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map((type) => [type.name, type]),
);
const AGGREGATE = 'AggregateError';
const OWN_PARTS: ReadonlySet<string> = new Set(['message', 'stack', 'cause', '__proto__']);

/** Takes an error apart into the parts that are stored. */
export function describeError(error: Error): ErrorParts {
  const { name, message } = error;
  const type = typeOf(error);
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(error)) {
    if (!OWN_PARTS.has(key)) {
      fields[key] = field;
    }
  }
  return {
    type,
    name: typeof name === 'string' ? name : type,
    message: typeof message === 'string' ? message : '',
    ...(Object.hasOwn(error, 'cause') && { cause: error.cause }),
    ...(error instanceof AggregateError && { errors: error.errors }),
    fields,
  };
}

/** Restores an error. @throws TypeError when the parts are not of the form that `describeError` makes */
export function reviveError(parts: unknown): Error {
  if (!isErrorParts(parts)) {
    throw new TypeError('These are not the parts of an error');
  }
  const { type, name, message, fields } = parts;
  const error = create(type, message, parts);
  if (name !== error.name) {
    defineProperty(error, 'name', name, false);
  }
  for (const key of Object.keys(fields)) {
    defineProperty(error, key, fields[key]);
  }
  // A stack made here would be misleading, and would name files of this process.
  defineProperty(error, 'stack', message === '' ? name : `${name}: ${message}`, false);
  return error;
}

function create(type: string, message: string, parts: ErrorParts): Error {
  const options = 'cause' in parts ? { cause: parts.cause } : undefined;
  if (type === AGGREGATE) {
    return new AggregateError(Array.isArray(parts.errors) ? parts.errors : [], message, options);
  }
  return new (ERROR_TYPES.get(type) ?? Error)(message, options);
}

function typeOf(error: Error): string {
  const prototype: unknown = Object.getPrototypeOf(error);
  if (prototype === AggregateError.prototype) {
    return AGGREGATE;
  }
  for (const [name, type] of ERROR_TYPES) {
    if (prototype === type.prototype) {
      return name;
    }
  }
  return 'Error';
}

function isErrorParts(parts: unknown): parts is ErrorParts {
  return (
    isObject(parts) &&
    [parts.type, parts.name, parts.message].every((part) => typeof part === 'string') &&
    isObject(parts.fields)
  );
}
