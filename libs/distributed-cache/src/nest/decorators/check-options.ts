import {
  ConfigurationError,
  isDuration,
  isValidName,
  toMs,
  type ConfigurationProblem,
  type Duration,
} from '../../core/index.js';

interface CheckedOptions {
  readonly namespace: string;
  readonly ttl?: unknown;
  readonly grace?: Duration | undefined;
}

const DURATION_RULE = "seconds as a number, or a string with its unit ('300ms', '5m', '24h')";

/**
 * A wrong option stops the start, where the class is loaded, instead of failing every call of the method. What a `ttl` function
 * returns is only known later.
 * @throws ConfigurationError
 */
export function checkOptions(decorator: string, { namespace, ttl, grace }: CheckedOptions): void {
  const problems: ConfigurationProblem[] = [];
  const refuse = (name: string, value: unknown, allowed: string) =>
    problems.push({ name: `@${decorator} ${name}`, value: JSON.stringify(value) ?? typeof value, allowed });
  if (typeof namespace !== 'string' || !isValidName(namespace)) {
    refuse('namespace', namespace, 'letters, digits, "_", "." and "-", at least one');
  }
  if (ttl !== undefined && typeof ttl !== 'function' && !(isDuration(ttl) && toMs(ttl) > 0)) {
    refuse('ttl', ttl, `a duration over 0: ${DURATION_RULE}; or a function of the result that returns one`);
  }
  if (grace !== undefined && !isDuration(grace)) {
    refuse('grace', grace, `a duration: ${DURATION_RULE}`);
  }
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
}
