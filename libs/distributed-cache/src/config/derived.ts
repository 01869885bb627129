import { CLASS_OPTIONS, CODEC_OPTIONS, COMPRESSION_OPTIONS, ENCRYPTION_OPTIONS } from './codec-schema.js';
import { CLIENT_OPTIONS, CLUSTER_OPTIONS, HOME_OPTIONS, REDIS_OPTIONS, STORE_OPTIONS } from './redis-schema.js';
import { type Defaults, type OptionRow, type OptionTable } from './rules.js';
import { COMPANION_OPTIONS, WARM_LOAD_OPTIONS, WARM_UP_OPTIONS } from './warm-schema.js';
import { CACHE_OPTIONS, FALLBACK_OPTIONS, LOCAL_OPTIONS, NAMESPACE_OPTIONS, TTL_OPTIONS } from './schema.js';

/*
 * What is derived from the tables of schema.ts: the defaults, the environment variables and the descriptions for the
 * documentation.
 */

/** The levels of the options by the paths under which the documentation shows them. */
const LEVELS = [
  { path: '', table: CACHE_OPTIONS },
  { path: 'ttls.', table: TTL_OPTIONS },
  { path: 'redis.', table: REDIS_OPTIONS },
  { path: 'redis.home.', table: HOME_OPTIONS },
  { path: 'redis.cluster.', table: CLUSTER_OPTIONS },
  { path: 'redis.', table: CLIENT_OPTIONS },
  { path: 'redis.', table: STORE_OPTIONS },
  { path: 'local.', table: LOCAL_OPTIONS },
  { path: 'fallback.', table: FALLBACK_OPTIONS },
  { path: 'compression.', table: COMPRESSION_OPTIONS },
  { path: 'codec.', table: CODEC_OPTIONS },
  { path: 'codec.classes.<name>.', table: CLASS_OPTIONS },
  { path: 'encryption.', table: ENCRYPTION_OPTIONS },
  { path: 'warmUp.', table: WARM_UP_OPTIONS },
  { path: 'warmUp.load.', table: WARM_LOAD_OPTIONS },
  { path: 'namespaces.<name>.', table: NAMESPACE_OPTIONS },
  { path: 'namespaces.<name>.companions.', table: COMPANION_OPTIONS },
] as const;

type Tables = (typeof LEVELS)[number]['table'];
type VariablesOf<Table> = Table extends unknown
  ? Extract<Table[keyof Table], { readonly variable: string }>['variable']
  : never;

/** The name of an environment variable that the library reads. */
export type EnvironmentVariableName = VariablesOf<Tables>;

/** The description of one environment variable, for `.env.example` and the documentation. */
export interface EnvironmentVariable {
  /** The default in the form of the variable; empty when there is none. */
  readonly default: string;
  /** Shown in `.env.example` when there is no default. */
  readonly example?: string;
  /** The meaning, with the unit. */
  readonly meaning: string;
}

/** The description of one option, for the check of names and the documentation. */
export interface OptionDescription {
  readonly type: string;
  /** The default in the form of code; empty when there is none. */
  readonly default: string;
  /** The environment variable that is read when code does not give the option. */
  readonly variable?: EnvironmentVariableName;
  readonly meaning: string;
}

/** Every level of the options, with the path under which the documentation shows it. */
export const OPTION_LEVELS: readonly {
  readonly path: string;
  readonly options: Readonly<Record<string, OptionDescription>>;
}[] = LEVELS.map(({ path, table }) => ({ path, options: mapRows(table, (row) => describeOption(row, path)) }));

/**
 * Every variable that the library reads, those of Redis first. A variable that is empty or blank counts as not set.
 */
export const ENVIRONMENT_VARIABLES = Object.fromEntries(
  [...new Set(['redis', ...Object.keys(CACHE_OPTIONS)])]
    .flatMap(rowsBelow)
    .flatMap((row) => (row.variable === undefined ? [] : [[row.variable, describeVariable(row)]])),
) as Readonly<Record<EnvironmentVariableName, EnvironmentVariable>>;

/** Every default of the configuration. */
export const DEFAULTS = Object.freeze({
  ...defaultsOf(CACHE_OPTIONS),
  ...defaultsOf(LOCAL_OPTIONS),
  ...defaultsOf(NAMESPACE_OPTIONS),
  ...defaultsOf(REDIS_OPTIONS),
  ...defaultsOf(HOME_OPTIONS),
  /** The built-in namespaces; any other one has `ttlMs`. */
  namespaceTtlMs: Object.freeze(defaultsOf(TTL_OPTIONS)),
  fallbackTtlMs: FALLBACK_OPTIONS.ttl.default,
  compressionThresholdBytes: COMPRESSION_OPTIONS.thresholdBytes.default,
  compressionCodec: COMPRESSION_OPTIONS.codec.default,
});

function mapRows<Result>(table: OptionTable, map: (row: OptionRow) => Result): Record<string, Result> {
  return Object.fromEntries(Object.entries(table).map(([name, row]) => [name, map(row)]));
}

function describeOption(row: OptionRow, path: string): OptionDescription {
  // The option `redis` is taken as a whole, so no variable stands in for a single option below it.
  const variable = path.startsWith('redis.') ? undefined : (row.variable as EnvironmentVariableName | undefined);
  return {
    type: row.rule === undefined ? row.type : row.rule.type,
    default: row.defaultText ?? codeOf(row),
    ...(variable !== undefined && { variable }),
    meaning: row.meaning,
  };
}

function rowsBelow(name: string): readonly OptionRow[] {
  const own = Object.entries<OptionRow>(CACHE_OPTIONS).filter(([option]) => option === name);
  const below = LEVELS.filter(({ path }) => path.startsWith(`${name}.`)).flatMap(({ table }) =>
    Object.entries<OptionRow>(table),
  );
  return [...own, ...below].map(([, row]) => row);
}

function describeVariable(row: OptionRow): EnvironmentVariable {
  const { default: value = '', rule, example } = row;
  const isDuration = rule?.isDuration === true;
  return {
    default: isDuration ? `${Number(value) / 1000}` : `${value}`,
    ...(example !== undefined && { example }),
    meaning: row.variableMeaning ?? (isDuration ? `seconds; ${row.meaning}` : row.meaning),
  };
}

function codeOf({ default: value, rule }: OptionRow): string {
  if (typeof value === 'number' && value > 0 && rule?.isDuration) {
    return value % 3_600_000 === 0 ? `'${value / 3_600_000}h'` : `'${value / 1000}s'`;
  }
  return typeof value === 'string' ? `'${value}'` : `${value ?? ''}`;
}

function defaultsOf<Table extends OptionTable>(table: Table): Defaults<Table> {
  return Object.fromEntries(
    Object.entries(table)
      .filter(([, row]) => row.default !== undefined)
      .map(([name, row]) => [row.field ?? name, row.default]),
  ) as Defaults<Table>;
}
