import {
  BOOLEAN,
  durationBetween,
  integerBetween,
  NAME,
  numberBetween,
  type OptionOf,
  type OptionTable,
  type Rule,
  typed,
} from './rules.js';

/*
 * The options of the warm-up and of companions, which read values before they are asked for: see schema.ts for the form of a row.
 */

const ONE_HOUR_MS = 3_600_000;
/** The most keys that Redis keeps of the use of one namespace. */
export const MOST_HOT_KEYS = 5000;

const NAMES: Rule<readonly string[]> = {
  type: 'string[]',
  allowed: `a list of namespaces, such as ['users']: names of ${NAME.allowed}`,
  accept: (value) =>
    Array.isArray(value) && value.length > 0 && value.every((name) => NAME.accept(name) !== undefined)
      ? Object.freeze([...new Set(value as string[])])
      : undefined,
};

export const WARM_LOAD_OPTIONS = {
  /** Most loads that begin within a second, in all processes together. Default 50. */
  rate: {
    rule: numberBetween(0.01, 10_000),
    default: 50,
    meaning: 'most loads that begin within a second, in all processes together',
  },
  /** Most loads that run at the same time. Default 5. */
  concurrency: { rule: integerBetween(1, 1000), default: 5, meaning: 'most loads that run at the same time' },
} as const satisfies OptionTable;

/**
 * The limits of the loads of a warm-up.
 * @interface
 */
export type WarmLoadOptions = {
  -readonly [Name in keyof typeof WARM_LOAD_OPTIONS]?: OptionOf<(typeof WARM_LOAD_OPTIONS)[Name]>;
};

export const WARM_UP_OPTIONS = {
  /** The namespaces whose use is recorded, and that are warmed. Necessary. */
  namespaces: { rule: NAMES, meaning: 'the namespaces whose hot keys are recorded, and that are warmed; necessary' },
  /** Most keys of each namespace that are read into L1, or loaded. Default 1000, at most 5000. */
  maxKeys: {
    rule: integerBetween(1, MOST_HOT_KEYS),
    default: 1000,
    meaning: 'most keys of each namespace that are read into L1, or loaded',
  },
  /**
   * How long a process counts as warming at most, and how long a loader that hangs is waited for. Default 10 s, at most
   * an hour.
   */
  deadline: {
    rule: durationBetween(1, ONE_HOUR_MS),
    field: 'deadlineMs',
    default: 10_000,
    meaning: 'how long a process counts as warming at most, and how long a loader that hangs is waited for',
  },
  /** `true`: health is `down` while the process is warming, so that it gets no requests yet. Default false. */
  requireWarm: {
    rule: BOOLEAN,
    default: false,
    meaning: 'true: health is `down` while the process is warming, so that it gets no requests yet',
  },
  /**
   * Loads the hot keys that Redis does not have, by the decorated methods, in one process at a time. Only with the Nest
   * module. Default false: no loader runs.
   */
  load: {
    ...typed<false | WarmLoadOptions>('false | object'),
    defaultText: 'false',
    meaning: 'loads the hot keys that Redis does not have, in one process at a time; false: no loader runs',
  },
} as const satisfies OptionTable;

/**
 * The options of the warm-up.
 * @interface
 */
export type WarmUpOptions = Pick<AllWarmUpOptions, 'namespaces'> & Partial<Omit<AllWarmUpOptions, 'namespaces'>>;

type AllWarmUpOptions = { -readonly [Name in keyof typeof WARM_UP_OPTIONS]: OptionOf<(typeof WARM_UP_OPTIONS)[Name]> };

export const COMPANION_OPTIONS = {
  /**
   * The share of the misses of a key that another key must have followed to be read with it, from 0.1 to 1. Default 0.5.
   */
  confidence: {
    rule: numberBetween(0.1, 1),
    default: 0.5,
    meaning: 'the share of the misses of a key that another one must have followed to be read with it',
  },
  /** How many companions are read with one miss at most, from 1 to 4. Default 4. */
  most: { rule: integerBetween(1, 4), default: 4, meaning: 'how many companions are read with one miss at most' },
} as const satisfies OptionTable;

/**
 * When a key is read together with another one.
 * @interface
 */
export type CompanionOptions = {
  -readonly [Name in keyof typeof COMPANION_OPTIONS]?: OptionOf<(typeof COMPANION_OPTIONS)[Name]>;
};
