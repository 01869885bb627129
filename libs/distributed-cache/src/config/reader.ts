import type { EnvironmentVariableName } from './derived.js';
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
import { hint } from './suggest.js';

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

  /** The option in the form of its rule. */
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
