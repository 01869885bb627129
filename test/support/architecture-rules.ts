/**
 * The rules for the source of the library as data: which folder may import which, and which folder may use which
 * package.
 * A folder is a folder of libs/distributed-cache/src; `index.ts` in the root of src is the Nest entry.
 */
export const ENTRY = 'index.ts';

export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  events: [],
  keys: ['values'],
  scope: [],
  config: ['errors', 'codec'],
  values: ['errors'],
  codec: ['errors', 'values'],
  local: ['errors', 'values'],
  redis: ['errors', 'codec', 'keys'],
  ops: ['errors', 'events', 'keys', 'local', 'redis'],
  warm: ['events', 'keys', 'local', 'redis'],
  core: ['config', 'errors', 'events', 'keys', 'scope', 'values', 'codec', 'local', 'redis', 'ops', 'warm'],
  metrics: ['events', 'keys'],
  nest: ['config', 'core', 'metrics', 'scope'],
  http: ['config', 'core', 'nest', 'values'],
  health: ['core', 'nest'],
  cli: ['codec', 'core', 'redis'],
  dashboard: ['cli', 'core', 'nest'],
  relay: ['config', 'core', 'events', 'keys', 'redis'],
  testing: ['core'],
  [ENTRY]: ['nest', 'core', 'metrics'],
};

export interface PackageRule {
  readonly packages: RegExp;
  /** Folders (below src) whose files may import it. */
  readonly onlyIn: readonly string[];
}

const NEST_FOLDERS = ['nest', 'http', 'health', 'dashboard'];

/** A package without a rule may be imported anywhere. */
export const PACKAGE_RULES: readonly PackageRule[] = [
  { packages: /^@nestjs\//, onlyIn: NEST_FOLDERS },
  { packages: /^@nestjs\/terminus$/, onlyIn: ['health'] },
  // Optional peers: an import outside these folders would break the entries that work without Nest.
  { packages: /^(rxjs|reflect-metadata)$/, onlyIn: NEST_FOLDERS },
  { packages: /^(ioredis|cache-manager-ioredis-yet)$/, onlyIn: ['redis'] },
  { packages: /^(cache-manager|keyv)$/, onlyIn: ['nest'] },
  { packages: /^commander$/, onlyIn: ['cli'] },
  { packages: /^prom-client$/, onlyIn: ['metrics/prometheus'] },
  { packages: /^@opentelemetry\//, onlyIn: ['metrics/opentelemetry'] },
  { packages: /^@nats-io\//, onlyIn: ['relay'] },
  { packages: /^nestjs-distributed-cache$/, onlyIn: [] },
];

/** The limits for the lines of a file, and for one class. */
export const MAX_LINES = 450;
export const MIN_LINES = 40;
export const MAX_CLASS_LINES = 300;
export const MAX_COLLABORATORS = 5;
/** The limit for the files of the library without `http/`, `ops/`, `warm/`, `relay/`, `cli/` and `dashboard/`, its tests not counted. */
export const MAX_FILES = 174;
/**
 * The objects that all parts of a cache, or of a namespace, share: they do not count as collaborators of a constructor.
 */
export const CONTEXTS: readonly string[] = ['CacheRuntime', 'RedisRuntime', 'ResolvedNamespace', 'CacheConfig'];
