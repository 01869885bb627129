import { ConfigurationError, type ConfigurationProblem } from '../errors/index.js';

const MAX_SHOWN_CHARACTERS = 60;

/** Collects the mistakes of a configuration, so that one start reports all of them. */
export class ProblemList {
  readonly #problems: ConfigurationProblem[] = [];

  /** Adds a mistake. @param value in the form of {@link show} or {@link maskAddress}; never a secret */
  add(name: string, value: string, allowed: string): void {
    this.#problems.push({ name, value, allowed });
  }

  throwIfAny(): void {
    if (this.#problems.length > 0) {
      throw new ConfigurationError(this.#problems);
    }
  }
}

/**
 * A value for an error message: short, without the content of an object, and without the part before an `@`, which may
 * be a password.
 */
export function show(value: unknown): string {
  switch (typeof value) {
    case 'string': {
      const text = value.replace(/^.*@/su, '***@');
      return JSON.stringify(text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}...` : text);
    }
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'bigint':
      return `${value}n`;
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? `an array of ${value.length}` : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

/**
 * An address that could not be used, for an error message. Only its scheme is shown: the mistake may be an unescaped
 * password.
 */
export function maskAddress(value: unknown): string {
  if (typeof value !== 'string') {
    return show(value);
  }
  return `"${/^[a-z][a-z0-9+.-]*:\/\//iu.exec(value)?.[0] ?? ''}***"`;
}
