import { isDuration, toMs } from './duration.js';
import { describeDurations, describeRange, isWithin, type Range } from './limits.js';
import type { OptionLevel } from './option-description.js';
import { OPTION_LEVELS } from './option-table.js';
import { type ProblemList, show } from './problem-list.js';
import { suggest } from './suggestion.js';

type Name<Options> = keyof Options & string;
/** The object form of an option that may also be `false` or absent. */
export type Level<Options, Key extends keyof Options> = Extract<NonNullable<Options[Key]>, object>;

/**
 * Reads one level of the options. Every method returns `undefined` for an option that was not given and for one that is
 * wrong; a wrong one is added to the problem list.
 */
export class OptionReader<Options extends object> {
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(
    given: Readonly<Record<string, unknown>>,
    /** The path with its final dot, such as `local.`; empty for the top level. */
    readonly path: string,
    known: readonly string[],
    readonly problems: ProblemList,
  ) {
    this.#given = given;
    for (const name of Object.keys(given).filter((key) => !known.includes(key))) {
      problems.add(`${path}${name}`, 'an unknown option', `${known.join(', ')}${hint(name, path, known)}`);
    }
  }

  value(name: Name<Options>): unknown {
    return this.#given[name];
  }

  has(name: Name<Options>): boolean {
    return this.#given[name] !== undefined;
  }

  refuse(name: Name<Options>, allowed: string, shown: string = show(this.#given[name])): undefined {
    this.problems.add(`${this.path}${name}`, shown, allowed);
    return undefined;
  }

  boolean(name: Name<Options>): boolean | undefined {
    const value = this.#given[name];
    return value === undefined || typeof value === 'boolean' ? value : this.refuse(name, 'true or false');
  }

  number(name: Name<Options>, range: Range): number | undefined {
    const value = this.#given[name];
    const accepted = value === undefined || (typeof value === 'number' && isWithin(value, range));
    return accepted ? value : this.refuse(name, `a number ${describeRange(range)}`);
  }

  integer(name: Name<Options>, range: Range): number | undefined {
    const value = this.#given[name];
    const accepted = value === undefined || (isInteger(value) && isWithin(value, range));
    return accepted ? value : this.refuse(name, `an integer ${describeRange(range)}`);
  }

  /** Reads a duration. @param range in milliseconds, as the result */
  durationMs(name: Name<Options>, range: Range): number | undefined {
    const value = this.#given[name];
    if (value === undefined) {
      return undefined;
    }
    const ms = isDuration(value) ? toMs(value) : Number.NaN;
    return isWithin(ms, range) ? ms : this.refuse(name, describeDurations(range));
  }

  function<Key extends Name<Options>>(name: Key): Extract<Options[Key], (...args: never[]) => unknown> | undefined {
    const value = this.#given[name];
    const accepted = value === undefined || typeof value === 'function';
    return accepted
      ? (value as Extract<Options[Key], (...args: never[]) => unknown> | undefined)
      : this.refuse(name, 'a function');
  }

  choice<const Choice extends string | number>(name: Name<Options>, choices: readonly Choice[]): Choice | undefined {
    const value = this.#given[name];
    const choice = choices.find((candidate) => candidate === value);
    return value === undefined || choice !== undefined ? choice : this.refuse(name, choices.map(show).join(', '));
  }

  text(
    name: Name<Options>,
    pattern: RegExp = /./u,
    allowed: string = 'a string that is not empty',
  ): string | undefined {
    const value = this.#given[name];
    const accepted = value === undefined || (typeof value === 'string' && pattern.test(value));
    return accepted ? value : this.refuse(name, allowed);
  }

  /** A secret. An empty one counts as not given; a wrong value is never shown. */
  secret(name: Name<Options>): string | undefined {
    const value = this.#given[name];
    return value === undefined || typeof value === 'string' ? value || undefined : this.refuse(name, 'a string', '***');
  }

  /** The object under `name`, checked for unknown names; an empty one when there is none. */
  level<Key extends Name<Options>>(
    name: Key,
    known: OptionLevel<Level<Options, Key>>,
  ): OptionReader<Level<Options, Key>> {
    const value = this.#given[name];
    const usable = isRecord(value) ? value : {};
    if (value !== undefined && !isRecord(value)) {
      this.refuse(name, `an object with ${Object.keys(known).join(', ')}`);
    }
    return new OptionReader(usable, `${this.path}${name}.`, Object.keys(known), this.problems);
  }
}

/**
 * The object under `name`, as in {@link OptionReader.level}, for an option that may be `false`: then the result is
 * `false`.
 */
export function levelOrFalse<Options extends object, Key extends Name<Options>>(
  options: OptionReader<Options>,
  name: Key,
  known: OptionLevel<Level<Options, Key>>,
): false | OptionReader<Level<Options, Key>> {
  return options.value(name) === false ? false : options.level(name, known);
}

/** Whether a value is an object to read options from: no array, no `null`. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

/**
 * A hint for an unknown option: a similar name at this level, or the same name at another level. For example,
 * `maxMemoryMb` is often given at the top.
 */
function hint(name: string, path: string, known: readonly string[]): string {
  const elsewhere = OPTION_LEVELS.find((level) => level.path !== path && Object.hasOwn(level.options, name));
  const meant = elsewhere ? `${elsewhere.path}${name}` : suggest(name, known);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}
