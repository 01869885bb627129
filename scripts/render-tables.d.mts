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

export function renderEnvironmentTable(variables: Readonly<Record<string, EnvironmentVariableRow>>): string;
export function renderOptionsTable(levels: readonly OptionLevelRows[]): string;
/** The whole text of `.env.example`. */
export function renderEnvExample(variables: Readonly<Record<string, EnvironmentVariableRow>>): string;
/** `text` with `table` between the markers of that name; as it was where the marker is missing. */
export function replaceTable(text: string, name: 'environment' | 'options', table: string): string;
