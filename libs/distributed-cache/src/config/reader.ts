import { type EnvironmentVariableName, OPTION_LEVELS } from './derived.js';
import { type ProblemList, show } from './problems.js';
import {
  type Given,
  isRecord,
  type OptionRow,
  type OptionTable,
  type Resolved,
  type TextRule,
  type ValueOf,
} from './rules.js';

type Name<Table> = keyof Table & string;

/**
 * Reads one level of the options. Every method returns `undefined` for an option that was not given and for one that is
 * wrong; a wrong one is added to the problem list.
 */
export class OptionReader<Table extends OptionTable> {
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(
    given: Readonly<Record<string, unknown>>,
    /** The path with its final dot, such as `local.`; empty for the top level. */
    readonly path: string,
    readonly table: Table,
    readonly problems: ProblemList,
    /** The options that are allowed here. */
    known: readonly string[] = Object.keys(table),
  ) {
    this.#given = given;
    for (const name of Object.keys(given).filter((key) => !known.includes(key))) {
      problems.add(`${path}${name}`, 'an unknown option', `${known.join(', ')}${hint(name, path, known)}`);
    }
  }

  value(name: Name<Table>): unknown {
    return this.#given[name];
  }

  has(name: Name<Table>): boolean {
    return this.#given[name] !== undefined;
  }

  refuse(
    name: Name<Table>,
    allowed: string,
    shown: string = (this.table[name]?.rule?.show ?? show)(this.#given[name]),
  ): undefined {
    this.problems.add(`${this.path}${name}`, shown, allowed);
    return undefined;
  }

  read<Option extends Name<Table>>(name: Option): ValueOf<Table[Option]> | undefined {
    const rule = this.table[name]?.rule;
    const value = this.#given[name];
    if (rule === undefined || value === undefined) {
      return undefined;
    }
    const accepted = rule.accept(value);
    return accepted === undefined ? this.refuse(name, rule.allowed) : (accepted as ValueOf<Table[Option]>);
  }

  /** All options that have a rule. */
  readAll(): Given<Table> {
    const entries = Object.entries(this.table).filter(([, { rule }]) => rule !== undefined);
    return Object.fromEntries(entries.map(([name, { field }]) => [field ?? name, this.read(name)])) as Given<Table>;
  }

  /** The object under `name`, checked for unknown names; an empty one when there is none. */
  level<Below extends OptionTable>(name: Name<Table>, table: Below): OptionReader<Below> {
    const value = this.#given[name];
    if (value !== undefined && !isRecord(value)) {
      this.refuse(name, `an object with ${Object.keys(table).join(', ')}`);
    }
    return new OptionReader(isRecord(value) ? value : {}, `${this.path}${name}.`, table, this.problems);
  }

  /** As {@link level}, for an option that may be `false`: then the result is `false`. */
  levelOrFalse<Below extends OptionTable>(name: Name<Table>, table: Below): false | OptionReader<Below> {
    return this.#given[name] === false ? false : this.level(name, table);
  }
}

/** What is needed of a row to read its variable. */
interface VariableRow<Value> {
  readonly variable: EnvironmentVariableName;
  readonly rule: TextRule<Value>;
}

/**
 * Reads environment variables. As in the option reader, a method returns `undefined` for a variable that is not set (or
 * blank) and for one that is wrong. A variable is read, and so checked, only when its value is needed.
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

  /** The variable of an option, in the form of its rule. */
  read<Value>({ variable, rule }: VariableRow<Value>): Value | undefined {
    const text = this.raw(variable);
    if (text === undefined) {
      return undefined;
    }
    const { parse, allowed } = rule.variable;
    return parse(text) ?? this.refuse(variable, allowed, (rule.show ?? show)(text));
  }
}

/**
 * Completes the options of one level: those that code does not give come from the environment, and then from the
 * defaults.
 * @param environment absent: no variable is read
 */
export function withDefaults<Table extends OptionTable>(
  table: Table,
  given: Given<Table>,
  environment?: EnvironmentReader,
): Resolved<Table> {
  const values: Readonly<Record<string, unknown>> = given;
  const fromVariable = (row: OptionRow) =>
    row.variable === undefined || row.rule === undefined
      ? undefined
      : environment?.read<unknown>({ variable: row.variable as EnvironmentVariableName, rule: row.rule });
  return Object.fromEntries(
    Object.entries(table)
      .filter(([, { rule }]) => rule !== undefined)
      .map(([name, row]) => {
        const field = row.field ?? name;
        return [field, values[field] ?? fromVariable(row) ?? row.default];
      }),
  ) as Resolved<Table>;
}

/**
 * A hint for an unknown option: a similar name at this level, or the same name at another level. For example,
 * `maxMemoryMb` is often given at the top.
 */
export function hint(name: string, path: string, known: readonly string[]): string {
  const elsewhere = OPTION_LEVELS.find((level) => level.path !== path && Object.hasOwn(level.options, name));
  const meant = elsewhere ? `${elsewhere.path}${name}` : suggest(name, known);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}

/** The name that was probably meant: one of `names` that differs in a few letters, or that contains `given`. */
export function suggest(given: string, names: readonly string[]): string | undefined {
  const wanted = given.toLowerCase();
  const withoutUnit = names.find((name) => wanted === `${name.toLowerCase()}ms`);
  if (withoutUnit !== undefined) {
    return withoutUnit;
  }
  const ranked = names
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [nearest] = ranked;
  if (nearest && nearest.distance <= allowedDistance(wanted)) {
    return nearest.name;
  }
  return ranked.find(({ name }) => wanted.length > 3 && name.toLowerCase().includes(wanted))?.name;
}

/** The largest distance of a suggestion. Two letters in exchanged places count as two edits. */
function allowedDistance({ length }: string): number {
  return Math.max(length > 3 ? 2 : 1, Math.floor(length / 3));
}

/** Levenshtein distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of from.split('').entries()) {
    const next = [index + 1];
    for (const [column, other] of to.split('').entries()) {
      next.push(
        Math.min((next[column] ?? 0) + 1, (row[column + 1] ?? 0) + 1, (row[column] ?? 0) + (letter === other ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
