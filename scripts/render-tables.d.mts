export interface EnvironmentVariableRow {
  readonly default: string;
  readonly example?: string;
  readonly meaning: string;
}

export interface OptionRow {
  readonly type: string;
  readonly default: string;
  readonly variable?: string;
  readonly meaning: string;
}

export interface OptionLevelRows {
  readonly path: string;
  readonly options: Readonly<Record<string, OptionRow>>;
}

export interface CounterRow {
  readonly wire: string;
  readonly metric?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly help: string;
  readonly meaning?: string;
}

export function renderEnvironmentTable(variables: Readonly<Record<string, EnvironmentVariableRow>>): string;
export function renderOptionsTable(levels: readonly OptionLevelRows[]): string;
export function renderCountersTable(rows: Readonly<Record<string, CounterRow>>): string;
/** The tables of `libs/distributed-cache/src/events`. */
export interface MetricTables {
  readonly counters: Readonly<Record<string, CounterRow>>;
  readonly gauges: Readonly<Record<string, CounterRow>>;
  readonly processCounters: Readonly<Record<string, CounterRow>>;
  readonly processGauges: Readonly<Record<string, CounterRow>>;
  readonly histograms: readonly { readonly metric: string; readonly labels: readonly string[] }[];
}

export function renderPrometheusTable(tables: MetricTables): string;
/** The whole text of `.env.example`. */
export function renderEnvExample(variables: Readonly<Record<string, EnvironmentVariableRow>>): string;
/** `text` with `table` between the markers of that name; as it was where the marker is missing. */
export function replaceTable(text: string, name: TableName, table: string): string;
export type TableName = 'environment' | 'options' | 'warmUp' | 'counters' | 'process' | 'prometheus';
