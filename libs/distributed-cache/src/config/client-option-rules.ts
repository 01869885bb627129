import { isRecord } from './option-reader.js';
import { type ProblemList, show } from './problem-list.js';

interface Rule {
  readonly name: string;
  readonly isWrong: (value: unknown) => boolean;
  readonly allowed: string;
}

const NO_KEY_PREFIX: Rule = {
  name: 'keyPrefix',
  isWrong: (value) => value !== undefined && value !== '',
  allowed:
    'nothing: give the keyPrefix option of the cache, since Redis tells of changes under the whole names of keys',
};

/** Of what ioredis takes for one connection, what would make the cache wrong without a word. */
const CONNECTION_RULES: readonly Rule[] = [
  NO_KEY_PREFIX,
  {
    name: 'readOnly',
    isWrong: (value) => value === true,
    allowed: 'false: a replica may answer with the old value after Redis has told of its change',
  },
  {
    name: 'role',
    isWrong: (value) => value !== undefined && value !== 'master',
    allowed:
      '"master": a replica takes no writes, and may answer with the old value after Redis has told of its change',
  },
];

const CLUSTER_RULES: readonly Rule[] = [
  NO_KEY_PREFIX,
  {
    name: 'scaleReads',
    isWrong: (value) => value !== undefined && value !== 'master',
    allowed: '"master": a replica may answer with the old value after Redis has told of its change',
  },
];

const NODE_RULES: readonly Rule[] = [
  ...CONNECTION_RULES,
  {
    name: 'db',
    isWrong: (value) => value !== undefined && Number(value) !== 0,
    allowed: '0: a cluster has one database',
  },
];

/** Checks the ioredis options for a server, or the Sentinels that know it. */
export function checkConnectionOptions(problems: ProblemList, path: string, options: unknown): void {
  check(problems, path, options, CONNECTION_RULES);
}

/** As {@link checkConnectionOptions}, for a cluster. */
export function checkClusterOptions(problems: ProblemList, path: string, options: unknown): void {
  check(problems, path, options, CLUSTER_RULES);
  if (isRecord(options)) {
    check(problems, `${path}redisOptions.`, options['redisOptions'], NODE_RULES);
  }
}

/**
 * Checks a client that is handed in. It is duplicated with options of ours; its key prefix alone can't be left out in silence, for the
 * application expects its keys there.
 */
export function checkClient(problems: ProblemList, name: string, client: object): void {
  const { options } = client as { options?: unknown };
  const nodeOptions = isRecord(options) && isRecord(options['redisOptions']) ? options['redisOptions'] : {};
  if (isRecord(options) && [options['keyPrefix'], nodeOptions['keyPrefix']].some(NO_KEY_PREFIX.isWrong)) {
    problems.add(
      name,
      'a client with keyPrefix',
      "a client without one, for instance client.duplicate({ keyPrefix: '' }): give the keyPrefix option of the cache",
    );
  }
}

function check(problems: ProblemList, path: string, options: unknown, rules: readonly Rule[]): void {
  if (!isRecord(options)) {
    return;
  }
  for (const { name, isWrong, allowed } of rules) {
    const value = options[name];
    if (isWrong(value)) {
      problems.add(`${path}${name}`, show(value), allowed);
    }
  }
}
