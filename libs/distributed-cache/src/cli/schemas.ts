import { CommandError, EXIT } from './output.js';
import type { Run } from './session.js';

/*
 * The JSON Schemas of what each command prints with `--json`. Fields may be added in later versions; none of these is
 * removed or changes its type within a major version.
 */

type Schema = Readonly<Record<string, unknown>>;

const text = { type: 'string' } as const;
const number = { type: 'number' } as const;
const flag = { type: 'boolean' } as const;
const oneOf = (...values: readonly string[]): Schema => ({ enum: values });
const list = (items: Schema): Schema => ({ type: 'array', items });
/** An object; a field whose name ends in `?` may be absent. */
const fields = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties: Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name.replace('?', ''), schema])),
  required: Object.keys(properties).filter((name) => !name.endsWith('?')),
});

const process = fields({ id: text, host: text, pid: number, 'application?': text });
const tags = list(fields({ name: text, isCurrent: flag }));
const sums = list(
  fields({
    namespace: text,
    hits: number,
    misses: number,
    total_requests: number,
    hit_rate_percent: number,
    local_hits: number,
    redis_hits: number,
    loads: number,
    errors: number,
    stale_served: number,
  }),
);
const lives = { 'ageMs?': number, 'ttlMs?': number, 'graceMs?': number, 'tags?': tags, 'isCurrent?': flag };

/** The schema of each command. `watch` prints one such object a line, `stats --watch` and `purge` too. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  doctor: fields({
    redis: text,
    prefix: text,
    ok: number,
    warnings: number,
    failures: number,
    checks: list(
      fields({ id: text, about: text, status: oneOf('ok', 'warn', 'fail', 'unknown'), found: text, 'advice?': text }),
    ),
  }),
  stats: fields({
    processes: number,
    unanswered: number,
    namespaces: sums,
    byProcess: list(fields({ process, namespaces: sums })),
  }),
  top: fields({
    processes: number,
    unanswered: number,
    by: oneOf('hits', 'bytes', 'load', 'saved'),
    entries: list(
      fields({
        namespace: text,
        key: text,
        uses: number,
        bytes: number,
        loadMs: number,
        savedMs: number,
        ttlMs: number,
        processes: number,
      }),
    ),
  }),
  inspect: fields({
    namespace: text,
    redisKey: text,
    redis: fields({
      state: oneOf('fresh', 'stale', 'missing', 'corrupt', 'none', 'unreachable'),
      ...lives,
      'lease?': text,
      'storedBytes?': number,
      'rawBytes?': number,
    }),
    unanswered: number,
    processes: list(
      fields({
        process,
        local: fields({ state: oneOf('fresh', 'stale', 'missing', 'off'), ...lives }),
        isLoading: flag,
        isJournalled: flag,
      }),
    ),
    'value?': fields({ state: oneOf('miss', 'fresh', 'stale') }),
  }),
  processes: fields({
    unanswered: number,
    differences: list(text),
    processes: list(
      fields({
        process,
        version: text,
        node: text,
        config: text,
        uptimeSeconds: number,
        redis: text,
        'refused?': list(text),
        invalidation: oneOf('live', 'announced', 'lost', 'none'),
        journalLength: number,
        heapBytes: number,
        localEntries: number,
        localBytes: number,
        localMaxBytes: number,
        namespaces: list(text),
        ignoredMessages: number,
      }),
    ),
  }),
  evict: fields({ namespace: text, keys: list(text), existed: number, recorded: flag }),
  expire: fields({ namespace: text, keys: list(text), existed: number, recorded: flag }),
  purge: fields({ namespace: text, tags: list(text), recorded: flag }),
  clear: fields({ namespace: text, recorded: flag }),
  warm: fields({
    started: flag,
    unanswered: number,
    namespaces: list(
      fields({ namespace: text, recorded: number, hottest: list(fields({ key: text, score: number })) }),
    ),
    processes: list(
      fields({
        process,
        namespaces: list(text),
        isWarm: flag,
        kept: number,
        missing: number,
        loaded: number,
        'refused?': text,
      }),
    ),
  }),
  watch: {
    oneOf: [
      fields({ atMs: number, kind: oneOf('key', 'tag', 'namespace', 'all'), namespace: text, name: text }),
      fields({ atMs: number, kind: oneOf('connection'), state: text, detail: text }),
    ],
  },
  bench: fields({
    redis: text,
    operations: list(fields({ name: text, about: text, count: number, p50Ms: number, p99Ms: number })),
  }),
};

/** Prints the schema of a command. */
export const schema: Run = async ({ out }, { args: [name = ''] }) => {
  const found = Object.hasOwn(SCHEMAS, name) ? SCHEMAS[name] : undefined;
  if (found === undefined) {
    throw new CommandError(EXIT.usage, `${name} is none of ${Object.keys(SCHEMAS).join(', ')}`);
  }
  const whole = { $schema: 'http://json-schema.org/draft-07/schema#', title: name, ...found };
  out.json(whole);
  out.line(JSON.stringify(whole, undefined, 2));
  return EXIT.ok;
};
