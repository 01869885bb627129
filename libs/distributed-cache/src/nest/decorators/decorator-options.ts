import { DURATION_FORMS, NAME, NAMESPACE_OPTIONS, type Rule, STANDARD_SCHEMA } from '../../config/index.js';
import {
  ConfigurationError,
  type ConfigurationProblem,
  type Duration,
  type EntryOptions,
  isDimensionName,
  isDuration,
  type KeyOptions,
  type StandardSchemaV1,
  toMs,
  type ValidateMode,
} from '../../core/index.js';

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
   * The key within the namespace. Default: class, method and typed arguments, such as `Users.find(42)`; an argument
   * that has no such encoding (a function, an instance without `toJSON`) throws a `CacheKeyError`.
   */
  key?: (...args: Args) => string;
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
   * If the method takes longer, a stale result is returned; the method goes on, and its result is cached. Default:
   * none.
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

/** The options of one call. Built once for all calls, unless the tags depend on the arguments. */
export function entryOptionsOf<Args extends unknown[], Result>({
  tags,
  ttl,
  grace,
  cacheIf,
  refreshAhead,
  refreshContext,
  softTimeout,
  hardTimeout,
  staleIf,
  schema,
  validate,
}: Omit<CachedOptions<Args, Result>, 'key' | 'namespace'>): (
  instance: object,
  args: unknown[],
) => EntryOptions<Result> | undefined {
  const common: EntryOptions<Result> = {
    ttl,
    grace,
    cacheIf,
    refreshAhead,
    refreshContext,
    softTimeout,
    hardTimeout,
    staleIf,
    schema,
    validate,
  };
  if (typeof tags === 'function') {
    return (instance, args) => ({ ...common, tags: tags.apply(instance, args as unknown as Args) });
  }
  const always = tags === undefined ? common : { ...common, tags };
  const options = Object.values(always).every((value) => value === undefined) ? undefined : always;
  return () => options;
}

type Check = Pick<Rule<unknown>, 'accept' | 'allowed'>;

interface CheckedOptions {
  readonly namespace: string;
  readonly ttl?: unknown;
  readonly grace?: Duration | undefined;
  readonly holdOff?: Duration | undefined;
  readonly softTimeout?: Duration | undefined;
  readonly hardTimeout?: Duration | undefined;
  readonly refreshAhead?: number | undefined;
  readonly refreshContext?: string | undefined;
  readonly varyBy?: readonly string[] | undefined;
  readonly version?: string | number | undefined;
  readonly schema?: unknown;
  readonly validate?: string | undefined;
}

const TIMEOUT = checkThat(isPositiveDuration, `a duration over 0: ${DURATION_FORMS}`);

/** The checks of the decorators' options. An option that is not given needs none. */
const CHECKS: Readonly<Record<keyof CheckedOptions, Check>> = {
  namespace: NAME,
  ttl: checkThat(
    (ttl) => typeof ttl === 'function' || isPositiveDuration(ttl),
    `${TIMEOUT.allowed}; or a function of the result that returns one`,
  ),
  grace: checkThat(isDuration, `a duration: ${DURATION_FORMS}`),
  holdOff: TIMEOUT,
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
};

/**
 * Checks the options of a decorator when the class is loaded: a wrong option stops the start, instead of failing every
 * call of the method. The result of a `ttl` function is only checked later.
 * @throws ConfigurationError
 */
export function checkOptions(decorator: string, options: CheckedOptions): void {
  const problems: ConfigurationProblem[] = [];
  for (const [name, { accept, allowed }] of Object.entries(CHECKS)) {
    const value = options[name as keyof CheckedOptions];
    if (value !== undefined && accept(value) === undefined) {
      problems.push({ name: `@${decorator} ${name}`, value: JSON.stringify(value) ?? typeof value, allowed });
    }
  }
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
}

function checkThat(isAllowed: (value: unknown) => boolean, allowed: string): Check {
  return { allowed, accept: (value) => (isAllowed(value) ? value : undefined) };
}

function isPositiveDuration(value: unknown): boolean {
  return isDuration(value) && toMs(value) > 0;
}
