import { toMs } from './duration.js';
import type { EnvironmentVariableName } from './environment-variables.js';
import { describeRange, describeSeconds, isWithin, type Range } from './limits.js';
import { type ProblemList, show } from './problem-list.js';

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/**
 * Reads the environment variables of the table. As in the option reader, a method returns `undefined` for a variable
 * that is not set (or blank) and for one that is wrong. A variable is read, and so checked, only when its value is
 * needed.
 */
export class EnvironmentReader {
  constructor(
    private readonly env: NodeJS.ProcessEnv,
    readonly problems: ProblemList,
  ) {}

  has(name: EnvironmentVariableName): boolean {
    return this.raw(name) !== undefined;
  }

  /** The value without blanks at both ends, which env files and YAML leave there. */
  raw(name: EnvironmentVariableName): string | undefined {
    return this.env[name]?.trim() || undefined;
  }

  /** The value unchanged: a password may begin or end with a blank. */
  secret(name: EnvironmentVariableName): string | undefined {
    return this.has(name) ? this.env[name] : undefined;
  }

  refuse(name: EnvironmentVariableName, allowed: string, shown: string = show(this.raw(name))): undefined {
    this.problems.add(name, shown, allowed);
    return undefined;
  }

  boolean(name: EnvironmentVariableName): boolean | undefined {
    const text = this.raw(name);
    return text === undefined
      ? undefined
      : (BOOLEANS.get(text.toLowerCase()) ?? this.refuse(name, 'true, false, 1 or 0'));
  }

  integer(name: EnvironmentVariableName, range: Range): number | undefined {
    const value = this.decimal(name);
    const accepted = value === undefined || (Number.isInteger(value) && isWithin(value, range));
    return accepted ? value : this.refuse(name, `an integer ${describeRange(range)}`);
  }

  number(name: EnvironmentVariableName, range: Range): number | undefined {
    const value = this.decimal(name);
    return value === undefined || isWithin(value, range)
      ? value
      : this.refuse(name, `a number ${describeRange(range)}`);
  }

  /** Reads a duration. @param range in milliseconds, as the result; the variable holds seconds */
  secondsAsMs(name: EnvironmentVariableName, range: Range): number | undefined {
    const value = this.decimal(name);
    if (value === undefined) {
      return undefined;
    }
    const ms = isWithin(value * 1000, range) ? toMs(value) : Number.NaN;
    return isWithin(ms, range) ? ms : this.refuse(name, describeSeconds(range));
  }

  text(name: EnvironmentVariableName, pattern: RegExp, allowed: string): string | undefined {
    const text = this.raw(name);
    return text === undefined || pattern.test(text) ? text : this.refuse(name, allowed);
  }

  /** NaN for a text that is not a plain decimal number: `Number()` alone would take '0x10', '1e9' and 'Infinity'. */
  private decimal(name: EnvironmentVariableName): number | undefined {
    const text = this.raw(name);
    return text === undefined ? undefined : /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  }
}
