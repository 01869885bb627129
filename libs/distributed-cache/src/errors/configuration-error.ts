import { CacheError } from './cache-error.js';

/** One mistake in the options or the environment. */
export interface ConfigurationProblem {
  /** The option's path (`local.maxMemoryMb`) or the variable's name (`REDIS_PORT`). */
  readonly name: string;
  /** The value as given, shortened; secrets are shown as `***`. */
  readonly value: string;
  /** The values that are accepted. */
  readonly allowed: string;
}

/** The configuration is wrong. Thrown at start-up, before any connection is opened, with every mistake at once. */
export class ConfigurationError extends CacheError {
  override readonly name = 'ConfigurationError';
  readonly code = 'CACHE_CONFIGURATION';

  constructor(readonly problems: readonly ConfigurationProblem[]) {
    const lines = problems.map(({ name, value, allowed }) => `  ${name}: got ${value}, allowed: ${allowed}`);
    super(
      `${problems.length === 1 ? '1 mistake' : `${problems.length} mistakes`} in the cache configuration\n${lines.join('\n')}`,
    );
  }
}
