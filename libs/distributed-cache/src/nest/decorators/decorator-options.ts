import { types } from 'node:util';
import {
  areInOrder,
  DURATION_FORMS,
  isRecord,
  NAME,
  NAMESPACE_OPTIONS,
  type Rule,
  STANDARD_SCHEMA,
  suggest,
} from '../../config/index.js';
import {
  ConfigurationError,
  type ConfigurationProblem,
  type Duration,
  encodeKey,
  type EntryOptions,
  isDimensionName,
  isDuration,
  type KeyOptions,
  type StandardSchemaV1,
  toMs,
  type ValidateMode,
  type ValuesMode,
} from '../../core/index.js';
import { callOption, OptionError } from './call-problems.js';

/**
 * Returns what distinguishes an instance of a class. It may be declared for the class itself: `(crud: Crud) =>
 * crud.table`.
 */
export type InstanceKey = {
  /** A text that is the same for instances that share their entries. */
  keyOf(this: void, instance: object): string;
}['keyOf'];

/** Options of `@Cached`. The types of functions follow the method: annotate their parameters as the method does. */
export interface CachedOptions<Args extends unknown[] = unknown[], Result = unknown> extends KeyOptions {
  /** The namespace. Default `default`. */
  namespace?: string;
  /**
   * How long the result is fresh; may be a function of the result. `null` and `undefined` live for the namespace's
   * `emptyTtl` at most, unless this is a function. Default: the namespace's TTL.
   */
  ttl?: Duration | ((result: Result) => Duration);
  /** How long the result is kept after its TTL, to be returned when the method throws. Default: the namespace's. */
  grace?: Duration;
  /**
   * The key within the namespace. Default: class, method and typed arguments, such as `Users.find(42)`. A call with an
   * argument that has no such encoding (a function, an instance with private fields and without `toJSON`) is not cached
   * (event `decoratedCallUncached`).
   */
  key?: (...args: Args) => string;
  /**
   * The arguments of the call that has this key, for `warmUp.load`; `undefined`: it is not a key of this method. It is
   * given the key without its version and dimensions. Default: default keys are decoded, as far as their arguments are
   * plain data; keys of the option `key` are not loaded.
   */
  warm?: (key: string) => Readonly<Args> | undefined;
  /**
   * Replaces the name of the class in default keys: for classes whose name is not unique, or changes from build to
   * build.
   */
  keyPrefix?: string;
  /**
   * What distinguishes the instances of one class (a table, a region): it becomes part of every key. Default: the
   * instances of one class share their entries.
   */
  instanceKey?: InstanceKey;
  /**
   * `invalidateTags` or `@CacheEvict({ tags })` with one of these makes the entry a miss; may be a function of the
   * arguments.
   */
  tags?: readonly string[] | ((...args: Args) => readonly string[]);
  /**
   * The schema of the result (zod, valibot, arktype), instead of the namespace's: a cached result that does not match
   * is a miss.
   */
  schema?: StandardSchemaV1<unknown, Result>;
  /**
   * With `both` results are also checked before they are cached; one that does not match is returned and not cached.
   * Default: the namespace's.
   */
  validate?: ValidateMode;
  /**
   * How callers get the result: `cloned`, each a copy of its own; `frozen`, all one deep-frozen object, which is the
   * fastest safe way; `shared`, all one object without protection. Default: the namespace's (`cloned`).
   */
  values?: ValuesMode;
  /**
   * Whether instances of classes that are neither registered nor declared become plain objects, on a miss as on a hit:
   * see docs/values.md. Default: the namespace's (false).
   */
  flatten?: boolean;
  /**
   * Whether a call uses the cache: when this returns false, the method runs as written. It must not be `async`. Default:
   * always.
   */
  condition?: (...args: Args) => boolean;
  /** Caches the result only when this returns true. Default: always, `null` and `undefined` included. */
  cacheIf?: (result: Result) => boolean;
  /**
   * The part of the TTL (0 to 1) after which a hit refreshes in the background. Default: with a probability that rises
   * towards the expiry (XFetch).
   */
  refreshAhead?: number;
  /**
   * The asynchronous context of a refresh in the background. `own`: that of no request, so the method sees no
   * `AsyncLocalStorage` of the request whose hit started it; the dimensions of `varyBy` are there. `caller`: that of
   * the request. Default `own`.
   */
  refreshContext?: 'own' | 'caller';
  /**
   * If the method takes longer, a stale result is returned; the method goes on, and its result is cached. It must not be
   * longer than `hardTimeout`. Default: none.
   */
  softTimeout?: Duration;
  /**
   * The longest wait for the method: after it a stale result is returned, or the call fails with a
   * `LoaderTimeoutError`. Default: none.
   */
  hardTimeout?: Duration;
  /** Whether a stale result may be returned in place of this error of the method. Default: for all errors. */
  staleIf?: (error: unknown) => boolean;
}

/** The namespace of `@Cached()` without one. */
export const DEFAULT_NAMESPACE = 'default';

/** An option of a decorator that is passed on with each call. Those of the key, and `tags`, depend on the call. */
type CallOption = Exclude<keyof CachedOptions & keyof EntryOptions, 'tags' | keyof KeyOptions>;

const CALL_OPTIONS = Object.keys({
  ttl: true,
  cacheIf: true,
  staleIf: true,
  grace: true,
  refreshAhead: true,
  refreshContext: true,
  softTimeout: true,
  hardTimeout: true,
  schema: true,
  validate: true,
  values: true,
  flatten: true,
} satisfies Record<CallOption, true>) as readonly CallOption[];

/** The options of one call. Built once for all calls, unless the tags depend on the arguments. */
export function entryOptionsOf<Args extends unknown[], Result>(
  options: Omit<CachedOptions<Args, Result>, 'key' | 'namespace'>,
): (instance: object, args: unknown[]) => EntryOptions<Result> | undefined {
  const { tags } = options;
  // With all names, given or not: V8 then has one hidden class for the options of all methods.
  const common = Object.fromEntries(CALL_OPTIONS.map((name) => [name, options[name]])) as EntryOptions<Result>;
  if (typeof tags === 'function') {
    return (instance, args) => ({ tags: tagsOf(tags, instance, args as unknown as Args), ...common });
  }
  const always = tags === undefined ? common : { tags, ...common };
  const ofEachCall = Object.values(always).every((value) => value === undefined) ? undefined : always;
  return () => ofEachCall;
}

/** The tags of one call. @throws OptionError, CacheKeyError if they are not a list of texts */
export function tagsOf<Args extends unknown[]>(
  tags: (...args: Args) => readonly string[],
  instance: object,
  args: Args,
): readonly string[] {
  const names: unknown = callOption('tags', tags, instance, args);
  if (!Array.isArray(names)) {
    throw new OptionError('The option `tags` returned no list. Return a list of texts for all arguments.');
  }
  (names as string[]).forEach(encodeKey);
  return names as string[];
}

type Check = Pick<Rule<unknown>, 'accept' | 'allowed'>;

const TIMEOUT = checkThat(isPositiveDuration, `a duration over 0: ${DURATION_FORMS}`);

const FUNCTION = checkThat(isSynchronous, 'a function that is not async');
const BOOLEAN = checkThat((value) => typeof value === 'boolean', 'true or false');
const TEXT = checkThat((text) => typeof text === 'string' && text !== '', 'a text that is not empty');
const DURATION = checkThat(isDuration, `a duration: ${DURATION_FORMS}`);

/** The checks of the decorators' options. An option that is not given needs none. */
const CHECKS = {
  namespace: NAME,
  key: FUNCTION,
  warm: FUNCTION,
  keyPrefix: TEXT,
  instanceKey: FUNCTION,
  ttl: checkThat(
    (ttl) => isSynchronous(ttl) || isPositiveDuration(ttl),
    `${TIMEOUT.allowed}; or a function of the result that returns one`,
  ),
  grace: DURATION,
  tags: checkThat(
    (tags) => isSynchronous(tags) || isListOfTexts(tags),
    "a list of texts, such as ['user:1'], or a function of the arguments that returns one",
  ),
  condition: FUNCTION,
  cacheIf: FUNCTION,
  staleIf: FUNCTION,
  softTimeout: TIMEOUT,
  hardTimeout: TIMEOUT,
  refreshAhead: checkThat(
    (part) => typeof part === 'number' && part > 0 && part < 1,
    'a number over 0 and under 1: a part of the TTL',
  ),
  refreshContext: checkThat((context) => context === 'own' || context === 'caller', "'own' or 'caller'"),
  varyBy: checkThat(
    (names) => Array.isArray(names) && names.length > 0 && names.every(isDimensionName),
    "a list of names, such as ['tenant', 'locale']",
  ),
  version: checkThat((version) => typeof version === 'string' || Number.isFinite(version), 'a string or a number'),
  schema: STANDARD_SCHEMA,
  validate: { ...NAMESPACE_OPTIONS.validate.rule, allowed: '"read" or "both"' },
  flatten: BOOLEAN,
  values: { ...NAMESPACE_OPTIONS.values.rule, allowed: '"cloned", "frozen" or "shared"' },
} as const satisfies Readonly<Record<keyof CachedOptions, Check>>;

/** Checks of options that only some decorators have. */
const OWN_CHECKS = {
  name: TEXT,
  evict: checkThat((evict) => typeof evict === 'object', 'the options of @CacheEvict, or a list of them'),
  keys: FUNCTION,
  resultKey: FUNCTION,
  by: FUNCTION,
  returns: checkThat((form) => form === 'list' || form === 'map', '"list" or "map"'),
  all: checkThat((all) => all === true, 'true'),
  before: BOOLEAN,
  holdOff: TIMEOUT,
  after: checkThat((hook) => typeof hook === 'function', 'a function that is given the eviction'),
} as const satisfies Readonly<Record<string, Check>>;

/** The options of a decorator, where they are not those of `@Cached`. */
export interface OptionSet {
  /** The options of `@Cached` that it has. Default: all. */
  readonly only?: readonly (keyof typeof CHECKS)[];
  /** The options of `@Cached` that it does not have. */
  readonly without?: readonly (keyof typeof CHECKS)[];
  /** Its own options. */
  readonly own?: readonly (keyof typeof OWN_CHECKS)[];
  /** Options of which exactly one must be given. */
  readonly oneOf?: readonly string[];
  /** Pairs of options that exclude each other. */
  readonly apart?: readonly (readonly [string, string])[];
}

/**
 * Checks the options of a decorator when the class is loaded: a wrong or unknown option stops the start, instead of
 * failing every call of the method, or changing nothing. The results of functions are only checked later.
 * @param caller the method that is decorated: `Users.find`
 * @throws ConfigurationError
 */
export function checkOptions(decorator: string, caller: string, options: object, set: OptionSet = {}): void {
  const checks = checksOf(set);
  const problems: ConfigurationProblem[] = [];
  if (!isRecord(options)) {
    throw new ConfigurationError([{ name: `${caller} @${decorator}`, value: shown(options), allowed: 'an object' }]);
  }
  for (const [name, value] of Object.entries(options)) {
    const check = checks.get(name);
    if (check === undefined || (value !== undefined && check.accept(value) === undefined)) {
      problems.push({
        name: `${caller} @${decorator} ${name}`,
        value: check === undefined ? 'an unknown option' : shown(value),
        allowed: check === undefined ? namesLike(name, [...checks.keys()]) : check.allowed + unitHint(value),
      });
    }
  }
  const { oneOf = [], apart = [] } = set;
  const given = oneOf.filter((name) => options[name] !== undefined);
  if (oneOf.length > 0 && given.length !== 1) {
    const allowed = oneOf.length === 1 ? `the option ${oneOf.join()}` : `one of ${oneOf.join(', ')}`;
    problems.push({ name: `${caller} @${decorator}`, value: given.join(', ') || `no ${oneOf.join(', ')}`, allowed });
  }
  for (const [one, other] of apart) {
    if (!isDefault(options[one]) && !isDefault(options[other])) {
      const [value, allowed] = [`${one} with ${other}`, `${one} without ${other}`];
      problems.push({ name: `${caller} @${decorator}`, value, allowed });
    }
  }
  const { softTimeout, hardTimeout } = options;
  if (isDuration(softTimeout) && isDuration(hardTimeout) && !areInOrder(softTimeout, hardTimeout)) {
    const allowed = `no longer than hardTimeout (${shown(hardTimeout)}): the call ends before it`;
    problems.push({ name: `${caller} @${decorator} softTimeout`, value: shown(softTimeout), allowed });
  }
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
}

/** Whether an option of {@link OptionSet.apart} says what holds without it. */
function isDefault(value: unknown): boolean {
  return value === undefined || value === false || value === 'list';
}

/**
 * Refuses a decorator without parentheses, which is given the prototype, the class or the method as its options.
 * @param written how the decorator is written
 */
export function requireParentheses(written: `${string}(${string})`, options: unknown): void {
  const type: unknown = isRecord(options) && Object.hasOwn(options, 'constructor') ? options['constructor'] : options;
  if (typeof type === 'function') {
    const [decorator] = written.split('(');
    throw new TypeError(`@${decorator} of ${type.name} needs parentheses: write @${written}`);
  }
}

/** The options of a decorator that the defaults of a class can complete: none of a group of which one must be given. */
export function optionNames(set: OptionSet): ReadonlySet<string> {
  return new Set([...checksOf(set).keys()].filter((name) => set.oneOf?.includes(name) !== true));
}

function checksOf({ only, without = [], own = [] }: OptionSet): ReadonlyMap<string, Check> {
  const names = only ?? (Object.keys(CHECKS) as (keyof typeof CHECKS)[]).filter((name) => !without.includes(name));
  return new Map<string, Check>([
    ...names.map((name) => [name, CHECKS[name]] as const),
    ...own.map((name) => [name, OWN_CHECKS[name]] as const),
  ]);
}

/** The names that are allowed, and the one that may be meant. */
export function namesLike(name: string, names: readonly string[]): string {
  const meant = suggest(name, names);
  return `${names.join(', ')}${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
}

function shown(value: unknown): string {
  if (types.isAsyncFunction(value)) {
    return 'an async function';
  }
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value); // JSON has no NaN
}

/** A number of seconds over ten years was probably meant in milliseconds. */
function unitHint(value: unknown): string {
  return typeof value === 'number' && isDuration(value / 1000) && !isDuration(value)
    ? `; a number is seconds: did you mean '${String(value)}ms'?`
    : '';
}

function isSynchronous(value: unknown): boolean {
  return typeof value === 'function' && !types.isAsyncFunction(value);
}

function isListOfTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === 'string' && text !== '');
}

function checkThat(isAllowed: (value: unknown) => boolean, allowed: string): Check {
  return { allowed, accept: (value) => (isAllowed(value) ? value : undefined) };
}

function isPositiveDuration(value: unknown): boolean {
  return isDuration(value) && toMs(value) > 0;
}
