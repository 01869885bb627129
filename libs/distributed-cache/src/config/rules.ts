import { isIPv6 } from 'node:net';
import { type Duration, isDuration, toMs } from './duration.js';
import { maskAddress, show } from './problems.js';

/** The type of an option. */
interface Typed<Option> {
  /** The type in the documentation. */
  readonly type: string;
  /** The type in TypeScript. No object has this property. As the result of a function a type keeps its name in editors. */
  readonly option?: () => Option;
}

/** The type of an option that a function of its own reads. @param type for the documentation */
export function typed<Option>(type: string): Typed<Option> {
  return { type };
}

/** How the value of an option is checked. `Option`: the option as code gives it. */
export interface Rule<Value, Option = Value> extends Typed<Option> {
  /** The sentence of an error message about what is allowed in code. */
  readonly allowed: string;
  /** The value in the form in which the cache uses it, or `undefined` for a wrong one. */
  readonly accept: (value: unknown) => Value | undefined;
  /** A wrong value for an error message. Default: {@link show}. */
  readonly show?: (value: unknown) => string;
  /** Whether the value is a duration: milliseconds, a string with a unit in code, seconds in a variable. */
  readonly isDuration?: boolean;
}

/** A rule for values that an environment variable can give, too. */
export interface TextRule<Value, Option = Value> extends Rule<Value, Option> {
  readonly variable: {
    /** The sentence of an error message about what is allowed in the variable. */
    readonly allowed: string;
    /** @param text the value of the variable, without blanks at both ends */
    readonly parse: (text: string) => Value | undefined;
  };
}

interface Facts<Value> {
  /** The name of the resolved option, with its unit. Default: the name of the option. */
  readonly field?: string;
  /** The default, in the form of the resolved option. */
  readonly default?: Value;
  /** The default in the documentation, where {@link default} does not say it. */
  readonly defaultText?: string;
  /** The environment variable that is read when code does not give the option. */
  readonly variable?: string;
  /** Shown in `.env.example` when there is no default. */
  readonly example?: string;
  readonly meaning: string;
  /** The meaning of the variable, where it is another. */
  readonly variableMeaning?: string;
}

interface Ruled<Value> extends Facts<Value> {
  readonly rule: TextRule<Value, unknown>;
}

/** An option whose value is no text: it has neither a variable nor a fixed default. */
interface RuledInCode extends Facts<never> {
  readonly rule: Rule<unknown>;
  readonly variable?: undefined;
}

/** An option that a function of its own reads. */
interface Unruled extends Facts<string | boolean>, Typed<unknown> {
  readonly rule?: undefined;
}

/** One option in the tables of schema.ts. */
export type OptionRow =
  Ruled<boolean> | Ruled<number> | Ruled<string> | Ruled<boolean | 'at-start'> | RuledInCode | Unruled;

/** One level of the options: its rows by the names of the options. */
export type OptionTable = Readonly<Record<string, OptionRow>>;

/** The rows of an interface whose options are not all optional: an option without a row does not compile. */
export type Rows<Options> = { readonly [Name in keyof Required<Options>]: OptionRow };

/** An option as code gives it, by its row. */
export type OptionOf<Row> = Row extends { readonly rule: Typed<infer Option> } | Typed<infer Option> ? Option : never;

/** The value of an option in the form of its rule. */
export type ValueOf<Row> = Row extends { readonly rule: Rule<infer Value, unknown> } ? Value : never;

type FieldOf<Name, Row> = Row extends { readonly field: infer Field extends string } ? Field : Name;
type RuledField<Name, Row> = Row extends { readonly rule: object } ? FieldOf<Name, Row> : never;
type DefaultedField<Name, Row> = Row extends { readonly default: unknown } ? FieldOf<Name, Row> : never;

/** The given options of a table, by their resolved names; only those that have a rule. */
export type Given<Table> = {
  readonly [Name in keyof Table as RuledField<Name, Table[Name]>]?: ValueOf<Table[Name]> | undefined;
};

/** The defaults of a table, by their resolved names. */
export type Defaults<Table> = {
  readonly [Name in keyof Table as DefaultedField<Name, Table[Name]>]: Table[Name] extends {
    readonly default: infer Default;
  }
    ? Default
    : never;
};

/** The options of a table after defaults, by their resolved names; only those that have a rule. */
export type Resolved<Table> = {
  readonly [Name in keyof Table as RuledField<Name, Table[Name]>]:
    ValueOf<Table[Name]> | (Table[Name] extends { readonly default: unknown } ? never : undefined);
};

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

export const BOOLEAN: TextRule<boolean> = {
  type: 'boolean',
  allowed: 'true or false',
  accept: (value) => (typeof value === 'boolean' ? value : undefined),
  variable: { allowed: 'true, false, 1 or 0', parse: (text) => BOOLEANS.get(text.toLowerCase()) },
};

export function numberBetween(min: number, max: number): TextRule<number> {
  return numeric(`a number ${describeRange(min, max)}`, (value) => value >= min && value <= max);
}

export function integerBetween(min: number, max: number): TextRule<number> {
  return numeric(
    `an integer ${describeRange(min, max)}`,
    (value) => Number.isInteger(value) && value >= min && value <= max,
  );
}

function numeric(allowed: string, isAllowed: (value: number) => boolean): TextRule<number> {
  const accept = (value: unknown) => (typeof value === 'number' && isAllowed(value) ? value : undefined);
  return { type: 'number', allowed, accept, variable: { allowed, parse: (text) => accept(parseDecimal(text)) } };
}

/** The part of a message that shows the forms of a duration. */
export const DURATION_FORMS = "seconds as a number, or a string with its unit ('300ms', '5m', '24h')";

/** A duration. @param minMs 0 or 1: whether a duration of 0 makes sense */
export function durationBetween(minMs: 0 | 1, maxMs: number): TextRule<number, Duration> {
  const accept = (value: unknown) => {
    const ms = isDuration(value) ? toMs(value) : Number.NaN;
    return ms >= minMs && ms <= maxMs ? ms : undefined;
  };
  const minimum = minMs === 0 ? 'of 0 or more' : 'over 0';
  return {
    type: 'Duration',
    allowed: `a duration ${minimum}, at most ${describeMs(maxMs)}: ${DURATION_FORMS}`,
    accept,
    variable: {
      allowed: `seconds ${minimum}, at most ${maxMs / 1000}, without a unit`,
      parse: (text) => {
        const seconds = parseDecimal(text);
        return seconds * 1000 >= minMs && seconds * 1000 <= maxMs ? accept(seconds) : undefined;
      },
    },
    isDuration: true,
  };
}

export function matching(pattern: RegExp, allowed: string): TextRule<string> {
  const accept = (value: unknown) => (typeof value === 'string' && pattern.test(value) ? value : undefined);
  return { type: 'string', allowed, accept, variable: { allowed, parse: accept } };
}

export const TEXT = matching(/./u, 'a string that is not empty');

/**
 * The rule for the first part of every key and for the names of namespaces: no separator of keys, no glob sign, no
 * character that needs encoding.
 */
export const NAME = matching(/^[A-Za-z0-9_.-]+$/, 'letters, digits, "_", "." and "-", at least one');

/** A secret. A wrong value is never shown. An empty text is accepted: the caller treats it as not given. */
export const SECRET: TextRule<string> = {
  type: 'string',
  allowed: 'a string',
  accept: (value) => (typeof value === 'string' ? value : undefined),
  show: () => '***',
  variable: { allowed: 'a string', parse: (text) => text },
};

export function oneOf<const Choice extends string | number>(
  choices: readonly Choice[],
  type: string = choices.map((choice) => (typeof choice === 'string' ? `'${choice}'` : `${choice}`)).join(' | '),
): TextRule<Choice> {
  const allowed = choices.map(show).join(', ');
  return {
    type,
    allowed,
    accept: (value) => choices.find((choice) => choice === value),
    variable: { allowed, parse: (text) => choices.find((choice) => `${choice}` === text) },
  };
}

/** A function. Its parameters and its result can't be checked. @param type for the documentation */
export function functionOf<Signature extends (...args: never[]) => unknown>(type: string): Rule<Signature> {
  return {
    type,
    allowed: 'a function',
    accept: (value) => (typeof value === 'function' ? (value as Signature) : undefined),
  };
}

/**
 * Standard Schema, version 1 (https://standardschema.dev): the interface that zod, valibot, arktype and others share.
 * Only the part in use is declared, so that no package is needed for it.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    /** Checks a value, synchronously or with a promise. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The value as the schema outputs it, or the issues. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly object[] };

export const STANDARD_SCHEMA: Rule<StandardSchemaV1> = {
  type: 'StandardSchemaV1',
  allowed: 'a Standard Schema: of zod, valibot, arktype or another that has `~standard`',
  accept: (value) => (isStandardSchema(value) ? value : undefined),
};

const MAX_VERSION_LENGTH = 100;

/** The version of the values' shape. */
export const VERSION: Rule<string | number> = {
  type: 'string | number',
  allowed: `a number, or a string of at most ${MAX_VERSION_LENGTH} characters`,
  accept: (value) =>
    (typeof value === 'number' && Number.isFinite(value)) ||
    (typeof value === 'string' && value.length <= MAX_VERSION_LENGTH)
      ? value
      : undefined,
};

export const PORT = integerBetween(1, 65_535);

const HOST_RULE = 'a host name or an IP address, without scheme and port';

/** A host. An IPv6 address may have brackets, which are removed. A wrong one may be an address with a password. */
export const HOST: TextRule<string> = {
  type: 'string',
  allowed: HOST_RULE,
  accept: acceptHost,
  show: (value) => (typeof value === 'string' && value.includes('://') ? maskAddress(value) : show(value)),
  variable: { allowed: HOST_RULE, parse: acceptHost },
};

/**
 * Whether a value is a Standard Schema: an object or a function (arktype's are functions) with the property
 * `~standard`.
 */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    return false;
  }
  const standard = (value as Partial<Record<'~standard', unknown>>)['~standard'];
  return (
    typeof standard === 'object' &&
    standard !== null &&
    typeof (standard as Record<string, unknown>)['validate'] === 'function'
  );
}

/** Whether a value is an object to read options from: no array, no `null`. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function acceptHost(value: unknown): string | undefined {
  const host = typeof value === 'string' ? value.replace(/^\[(.*)\]$/su, '$1') : '';
  return /^[A-Za-z0-9_.-]+$/.test(host) || isIPv6(host) ? host : undefined;
}

/** NaN for a text that is not a plain decimal number: `Number()` alone would take '0x10', '1e9' and 'Infinity'. */
function parseDecimal(digits: string): number {
  return /^\d+(\.\d+)?$/.test(digits) ? Number(digits) : Number.NaN;
}

function describeRange(min: number, max: number): string {
  return max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`;
}

function describeMs(ms: number): string {
  return ms < 86_400_000 ? `${ms / 3_600_000}h` : `${ms / 86_400_000}d`;
}
