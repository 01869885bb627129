import { DURATION_FORMS, NAME, NAMESPACE_OPTIONS, type Rule, STANDARD_SCHEMA } from '../../config/index.js';
import {
  ConfigurationError,
  isDimensionName,
  isDuration,
  toMs,
  type ConfigurationProblem,
  type Duration,
} from '../../core/index.js';

type Check = Pick<Rule<unknown>, 'accept' | 'allowed'>;

interface CheckedOptions {
  readonly namespace: string;
  readonly ttl?: unknown;
  readonly grace?: Duration | undefined;
  readonly softTimeout?: Duration | undefined;
  readonly hardTimeout?: Duration | undefined;
  readonly refreshAhead?: number | undefined;
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
  softTimeout: TIMEOUT,
  hardTimeout: TIMEOUT,
  refreshAhead: checkThat(
    (part) => typeof part === 'number' && part > 0 && part < 1,
    'a number over 0 and under 1: a part of the TTL',
  ),
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
