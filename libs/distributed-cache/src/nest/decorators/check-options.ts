import {
  ConfigurationError,
  isDimensionName,
  isDuration,
  isStandardSchema,
  isValidName,
  toMs,
  type ConfigurationProblem,
  type Duration,
} from '../../core/index.js';

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

const DURATION_RULE = "seconds as a number, or a string with its unit ('300ms', '5m', '24h')";

/**
 * Checks the options of a decorator when the class is loaded: a wrong option stops the start, instead of failing every
 * call of the method. The result of a `ttl` function is only checked later.
 * @throws ConfigurationError
 */
export function checkOptions(decorator: string, options: CheckedOptions): void {
  const { namespace, ttl, grace, refreshAhead, varyBy, version } = options;
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
  for (const name of ['softTimeout', 'hardTimeout'] as const) {
    const timeout = options[name];
    if (timeout !== undefined && !(isDuration(timeout) && toMs(timeout) > 0)) {
      refuse(name, timeout, `a duration over 0: ${DURATION_RULE}`);
    }
  }
  if (refreshAhead !== undefined && !(refreshAhead > 0 && refreshAhead < 1)) {
    refuse('refreshAhead', refreshAhead, 'a number over 0 and under 1: a part of the TTL');
  }
  if (varyBy !== undefined && !(Array.isArray(varyBy) && varyBy.length > 0 && varyBy.every(isDimensionName))) {
    refuse('varyBy', varyBy, "a list of names, such as ['tenant', 'locale']");
  }
  if (version !== undefined && !(typeof version === 'string' || Number.isFinite(version))) {
    refuse('version', version, 'a string or a number');
  }
  if (options.schema !== undefined && !isStandardSchema(options.schema)) {
    refuse('schema', options.schema, 'a Standard Schema: of zod, valibot, arktype or another that has `~standard`');
  }
  if (options.validate !== undefined && options.validate !== 'read' && options.validate !== 'both') {
    refuse('validate', options.validate, '"read" or "both"');
  }
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
}
