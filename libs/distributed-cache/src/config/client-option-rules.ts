import { type ProblemList, show } from './problems.js';
import { isRecord } from './rules.js';

interface ClientOptionRule {
  readonly name: string;
  readonly isWrong: (value: unknown) => boolean;
  readonly allowed: string;
}

const NO_KEY_PREFIX: ClientOptionRule = {
  name: 'keyPrefix',
  isWrong: (value) => value !== undefined && value !== '',
  allowed:
    'nothing: give the keyPrefix option of the cache, because Redis reports changes under the whole names of keys',
};

/** The ioredis options of one connection with which the cache would return wrong values without an error. */
const CONNECTION_RULES: readonly ClientOptionRule[] = [
  NO_KEY_PREFIX,
  {
    name: 'readOnly',
    isWrong: (value) => value === true,
    allowed: 'false: a replica may answer with the old value after Redis has reported its change',
  },
  {
    name: 'role',
    isWrong: (value) => value !== undefined && value !== 'master',
    allowed:
      '"master": a replica takes no writes, and may answer with the old value after Redis has reported its change',
  },
];

const CLUSTER_RULES: readonly ClientOptionRule[] = [
  NO_KEY_PREFIX,
  {
    name: 'scaleReads',
    isWrong: (value) => value !== undefined && value !== 'master',
    allowed: '"master": a replica may answer with the old value after Redis has reported its change',
  },
];

const NODE_RULES: readonly ClientOptionRule[] = [
  ...CONNECTION_RULES,
  {
    name: 'db',
    isWrong: (value) => value !== undefined && Number(value) !== 0,
    allowed: '0: a cluster has one database',
  },
];

/** Checks the ioredis options for a server, or for Sentinels. */
export function checkConnectionOptions(problems: ProblemList, path: string, options: unknown): void {
  check(problems, path, options, CONNECTION_RULES);
}

export function checkClusterOptions(problems: ProblemList, path: string, options: unknown): void {
  check(problems, path, options, CLUSTER_RULES);
  if (isRecord(options)) {
    check(problems, `${path}redisOptions.`, options['redisOptions'], NODE_RULES);
  }
}

/**
 * Checks a client that is handed in. It is duplicated with this library's options. Only a key prefix is refused: it
 * can't be dropped silently, because the application expects its keys under it.
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

function check(problems: ProblemList, path: string, options: unknown, rules: readonly ClientOptionRule[]): void {
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
