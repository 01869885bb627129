import type { EnvironmentVariableName } from './environment-variables.js';

/** One option, for the check of names and the documentation. */
export interface OptionDescription {
  readonly type: string;
  /** As it would be written in code; empty: none. */
  readonly default: string;
  /** What is read where the code gives nothing. */
  readonly variable?: EnvironmentVariableName;
  readonly meaning: string;
}

/** Describes every option of `Options`, so that one added to the type and forgotten here does not compile. */
export type OptionLevel<Options> = { readonly [Name in keyof Required<Options>]: OptionDescription };
