import type { CacheMetricsWire, InvalidationState } from '../events/index.js';
import type { TopEntry, TopOrder } from '../local/index.js';

/*
 * What the processes of one cache ask each other: for each question its arguments, its answer, and how both are checked.
 * Everything that arrives may come from another version, or from any program that knows the password of Redis.
 */

/** Which process has answered. */
export interface ProcessName {
  /** Different for each cache in each process, and after each restart. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  /** The name of the application, if it is known. */
  readonly application: string | undefined;
}

/** The state of one process. */
export interface ProcessFacts {
  /** The version of this library. */
  readonly version: string;
  /** The version of Node. */
  readonly node: string;
  readonly uptimeSeconds: number;
  /** A digest of the configuration without the address of Redis. Processes of one deployment have the same. */
  readonly config: string;
  /** The state of the connection to Redis: `live`, `down`, ...; `none` without a Redis. */
  readonly redis: string;
  /** The commands that Redis refuses to the process, with its reply: `SET OOM`. An earlier version does not tell. */
  readonly refused?: readonly string[];
  /** How the process learns of changes by others; `lost` without a Redis. */
  readonly invalidation: InvalidationState;
  /** The changes that Redis has not acknowledged yet. */
  readonly journalLength: number;
  readonly heapBytes: number;
  /** The entries of L1, their estimated size and its limit; all 0 when L1 is switched off. */
  readonly localEntries: number;
  readonly localBytes: number;
  readonly localMaxBytes: number;
  /** The namespaces that the process uses. */
  readonly namespaces: readonly string[];
  /** The messages to the operations plane that were ignored because they were not understood, too many or too large. */
  readonly ignoredMessages: number;
}

/** Counters of the last hour, in steps of ten seconds. */
export interface CounterSteps {
  readonly stepSeconds: number;
  /** When the last step ended, in milliseconds since 1970, by the clock of the process. */
  readonly endedAtMs: number;
  /** The names of the counters, as in the JSON form of the metrics. */
  readonly counters: readonly string[];
  /** For each step, the oldest first, by how much each counter has risen; `null` for a step without a record. */
  readonly steps: readonly (readonly number[] | null)[];
}

/** An entry of L1 that ranks high. `key` is the key as the tiers use it, after `prefix:namespace:`. */
export interface TopKey extends TopEntry {
  readonly namespace: string;
}

/** A tag of an entry, by its name in keys. A tag that is not current was invalidated after the entry was made. */
export interface TagInspection {
  readonly name: string;
  readonly isCurrent: boolean;
}

/** How old an entry is, how long it lives, and whether it counts. */
export interface EntryLives {
  /** Time since the value was stored, in milliseconds. */
  readonly ageMs: number;
  /** The rest of its fresh life, in milliseconds; zero or less when stale. */
  readonly ttlMs: number;
  /** The rest of the time for which it is kept as a stale value after its fresh life, in milliseconds. */
  readonly graceMs: number;
  readonly tags: readonly TagInspection[];
  /**
   * Whether the entry counts: there was no `clear`, invalidation of a tag or change of `version` since it was made.
   * Otherwise it is a miss.
   */
  readonly isCurrent: boolean;
}

/** What L1 of one process holds of an entry. `off`: there is no L1. */
export type LocalInspection =
  | { readonly state: 'off' }
  | { readonly state: 'missing' }
  | (EntryLives & {
      readonly state: 'fresh' | 'stale';
      /** Whether L1 may answer at this moment: changes by others are received, or the fallback serves. */
      readonly isTrusted: boolean;
      /** Estimated size on the heap, in bytes, with the key and the bookkeeping. */
      readonly heapBytes: number;
      /** Whether each reader gets its own copy. */
      readonly isCopiedOnRead: boolean;
    });

/** What one process holds of an entry. */
export interface ProcessPart {
  readonly local: LocalInspection;
  /** Whether the process is loading it, or reading it for a load. */
  readonly isLoading: boolean;
  /** Whether Redis has not yet acknowledged a deletion of the key: until then, what Redis holds is a miss. */
  readonly isJournalled: boolean;
}

/** A load under way. */
export interface RunningLoad {
  readonly namespace: string;
  readonly key: string;
  /** `waiting`: for another process that loads the key. `storing`: the loader has ended. */
  readonly phase: 'reading' | 'waiting' | 'loading' | 'storing';
  /** How long its loader has run, or it has waited for another process. */
  readonly elapsedMs: number;
}

/** A change of which a process has learned. */
export interface RecentChange {
  /** In milliseconds since 1970, by the clock of the process. */
  readonly atMs: number;
  /** `all`: any entry of the cache may have changed, as after `FLUSHALL`. */
  readonly kind: 'key' | 'tag' | 'namespace' | 'all';
  readonly namespace: string;
  /** The key or the tag. */
  readonly name: string;
}

/** What a process tells about its warm-up. */
export interface WarmUpAnswer {
  /** The namespaces that it warms; none without the option `warmUp`. */
  readonly namespaces: readonly string[];
  /** Whether its warm-up after the start has ended. */
  readonly isWarm: boolean;
  /** How many entries its warm-ups have read into L1, how many hot keys Redis did not have, and how many it has loaded. */
  readonly kept: number;
  readonly missing: number;
  readonly loaded: number;
  /** The command on the hot keys that Redis refuses, with its reply: `ZINCRBY NOPERM`. */
  readonly refused?: string | undefined;
}

/** The arguments and the answer of each question. */
export interface Questions {
  hello: { args: Readonly<Record<string, never>>; answer: ProcessFacts };
  metrics: { args: { readonly namespace?: string }; answer: readonly CacheMetricsWire[] };
  history: { args: { readonly namespace?: string; readonly steps: number }; answer: CounterSteps };
  top: {
    args: { readonly namespace?: string; readonly by: TopOrder; readonly count: number };
    answer: readonly TopKey[];
  };
  inspect: { args: { readonly namespace: string; readonly key: string }; answer: ProcessPart };
  tagged: { args: { readonly namespace: string; readonly tag: string }; answer: number };
  loads: { args: { readonly count: number }; answer: readonly RunningLoad[] };
  changes: { args: { readonly count: number }; answer: readonly RecentChange[] };
  warm: { args: { readonly starts: boolean }; answer: WarmUpAnswer };
}

export type QuestionName = keyof Questions;
export type ArgsOf<Name extends QuestionName> = Questions[Name]['args'];
export type AnswerTo<Name extends QuestionName> = Questions[Name]['answer'];

/** Answers each question for one process. */
export type ProcessView = {
  [Name in QuestionName]: (args: ArgsOf<Name>) => AnswerTo<Name>;
};

/** The most entries that one answer lists. */
export const MOST_LISTED = 1000;
/** The most steps of the history: an hour. */
export const MOST_STEPS = 360;
const LONGEST_TEXT = 2048;
const ORDERS: readonly TopOrder[] = ['uses', 'bytes', 'loadMs', 'savedMs'];

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string' && value.length <= LONGEST_TEXT;
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const flag: Check = (value) => typeof value === 'boolean';
const upTo =
  (most: number): Check =>
  (value) =>
    Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
const oneOf =
  (values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
/** An object with these fields. It may have others: a later version may have added them. */
const fields =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isObject(value) && Object.entries(checks).every(([name, check]) => check(value[name]));

const tags = listOf(fields({ name: text, isCurrent: flag }));
const localEntry = fields({
  state: oneOf(['fresh', 'stale']),
  ageMs: number,
  ttlMs: number,
  graceMs: number,
  tags,
  isCurrent: flag,
  isTrusted: flag,
  heapBytes: number,
  isCopiedOnRead: flag,
});
const noEntry = fields({ state: oneOf(['missing', 'off']) });

/** How the arguments and the answer of each question are checked. */
export const CHECKS: { readonly [Name in QuestionName]: { readonly args: Check; readonly answer: Check } } = {
  hello: {
    args: fields({}),
    answer: fields({
      version: text,
      node: text,
      uptimeSeconds: number,
      config: text,
      redis: text,
      refused: optional(listOf(text)),
      invalidation: oneOf(['live', 'announced', 'lost', 'none']),
      journalLength: number,
      heapBytes: number,
      localEntries: number,
      localBytes: number,
      localMaxBytes: number,
      namespaces: listOf(text),
      ignoredMessages: number,
    }),
  },
  metrics: {
    args: fields({ namespace: optional(text) }),
    answer: listOf(fields({ namespace: text, hits: number, misses: number })),
  },
  history: {
    args: fields({ namespace: optional(text), steps: upTo(MOST_STEPS) }),
    answer: fields({
      stepSeconds: number,
      endedAtMs: number,
      counters: listOf(text),
      steps: listOf((step) => step === null || listOf(number)(step)),
    }),
  },
  top: {
    args: fields({ namespace: optional(text), by: oneOf(ORDERS), count: upTo(MOST_LISTED) }),
    answer: listOf(
      fields({
        namespace: text,
        key: text,
        uses: number,
        bytes: number,
        loadMs: number,
        savedMs: number,
        ttlMs: number,
      }),
    ),
  },
  inspect: {
    args: fields({ namespace: text, key: text }),
    answer: fields({
      local: (value) => localEntry(value) || noEntry(value),
      isLoading: flag,
      isJournalled: flag,
    }),
  },
  tagged: { args: fields({ namespace: text, tag: text }), answer: number },
  loads: {
    args: fields({ count: upTo(MOST_LISTED) }),
    answer: listOf(
      fields({
        namespace: text,
        key: text,
        phase: oneOf(['reading', 'waiting', 'loading', 'storing']),
        elapsedMs: number,
      }),
    ),
  },
  changes: {
    args: fields({ count: upTo(MOST_LISTED) }),
    answer: listOf(
      fields({ atMs: number, kind: oneOf(['key', 'tag', 'namespace', 'all']), namespace: text, name: text }),
    ),
  },
  warm: {
    args: fields({ starts: flag }),
    answer: fields({
      namespaces: listOf(text),
      isWarm: flag,
      kept: number,
      missing: number,
      loaded: number,
      refused: optional(text),
    }),
  },
};

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isText = text;
const isNumber = number;

/** Whether a value is the name of a process, as an answer carries it. */
export function isProcessName(value: unknown): value is ProcessName {
  return fields({ id: isText, host: isText, pid: isNumber, application: optional(isText) })(value);
}
