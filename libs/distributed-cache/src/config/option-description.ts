import type { EnvironmentVariableName } from './environment-variables.js';

/** The description of one option, for the check of names and the documentation. */
export interface OptionDescription {
  readonly type: string;
  /** The default in the form of code; empty when there is none. */
  readonly default: string;
  /** The environment variable that is read when code does not give the option. */
  readonly variable?: EnvironmentVariableName;
  readonly meaning: string;
}

/**
 * The descriptions of every option of `Options`: an option that is added to the type and not described does not
 * compile.
 */
export type OptionLevel<Options> = { readonly [Name in keyof Required<Options>]: OptionDescription };
