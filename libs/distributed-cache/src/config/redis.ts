import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { DEFAULTS, type EnvironmentVariableName } from './derived.js';
import { maskAddress, type ProblemList, show } from './problems.js';
import { type EnvironmentReader, OptionReader } from './reader.js';
import { type Connection, HOST_LIST_RULE, type ParsedRedisUrl, parseHosts, parseRedisUrl } from './redis-address.js';
import {
  checkClient,
  checkClusterOptions,
  checkConnectionOptions,
  CLIENT_OPTIONS,
  CLUSTER_OPTIONS,
  HOME_OPTIONS,
  HOME_WORD,
  HOST_OPTIONS,
  type HostAndPort,
  REDIS_OPTIONS,
  type ResolvedHome,
  type ResolvedRedis,
  STORE_OPTIONS,
} from './redis-schema.js';
import { BOOLEAN, HOST, isRecord } from './rules.js';
import type { CACHE_OPTIONS } from './schema.js';

type ConnectionReader = OptionReader<typeof REDIS_OPTIONS>;

const NO_REDIS: ResolvedRedis = Object.freeze({ kind: 'none' });
/** The options of `redis: { cluster }`: beside `cluster` there is none. */
const ONLY_CLUSTER = { cluster: { type: 'object', meaning: 'Redis Cluster' } } as const;
const CLIENT_RULE = 'an ioredis 5 or 6 client';
const NOT_FOR_CLUSTER: ReadonlySet<string> = new Set([
  'url',
  'host',
  'port',
  'path',
  'db',
  'sentinels',
  'name',
  'home',
]);
const ADDRESS_OPTIONS = ['url', 'host', 'port', 'path', 'sentinels'] as const;
const DEFAULT_ORIGIN = 'the default: no address is given';
const ADDRESS_VARIABLES = ['REDIS_URL', 'REDIS_CLUSTER_NODES', 'REDIS_SENTINELS', 'REDIS_HOST'] as const;

/** The origin of the address of Redis, for the log: an option, a variable or the default; `undefined` for a client. */
export function originOfRedis(
  options: OptionReader<typeof CACHE_OPTIONS>,
  environment: EnvironmentReader,
): string | undefined {
  const given = options.value('redis');
  if (isRecord(given)) {
    if (given['client'] !== undefined || given['store'] !== undefined) {
      return undefined;
    }
    const option = ['cluster', ...ADDRESS_OPTIONS].find((name) => given[name] !== undefined);
    return option === undefined ? DEFAULT_ORIGIN : `redis.${option}`;
  }
  return [...ADDRESS_VARIABLES, 'REDIS_PORT' as const].find((name) => environment.has(name)) ?? DEFAULT_ORIGIN;
}

/**
 * Resolves the option `redis`. It is taken as a whole: if it were mixed with the environment, a host in code could be
 * sent the password that is meant for another one. Without it the `REDIS_*` variables are used.
 */
export function resolveRedis(
  options: OptionReader<typeof CACHE_OPTIONS>,
  environment: EnvironmentReader,
): ResolvedRedis {
  const given = options.value('redis');
  if (given === undefined) {
    return redisFromEnvironment(environment);
  }
  if (given === false) {
    return NO_REDIS;
  }
  const { problems } = options;
  if (!isRecord(given) || isRedisClient(given)) {
    const isClient = isRecord(given);
    options.refuse(
      'redis',
      'false, or an object with connection options, cluster, client or store',
      isClient ? 'a client (write { client })' : maskAddress(given),
    );
    return NO_REDIS;
  }
  const level: Readonly<Record<string, unknown>> = given;
  const { home, ...rest } = level;
  const kind = (['client', 'store', 'cluster'] as const).find((name) => name in given);
  if (kind !== undefined && home !== undefined && home !== 'primary') {
    problems.add(
      'redis.home',
      show(home),
      `nothing beside redis.${kind}: a process reads and listens at the masters then`,
    );
  }
  if (kind === 'client') {
    return fromClient(new OptionReader(rest, 'redis.', CLIENT_OPTIONS, problems));
  }
  if (kind === 'store') {
    return fromStore(new OptionReader(rest, 'redis.', STORE_OPTIONS, problems));
  }
  if (kind === 'cluster') {
    return fromCluster(new OptionReader(rest, 'redis.', ONLY_CLUSTER, problems));
  }
  const reader = new OptionReader(given, 'redis.', REDIS_OPTIONS, problems);
  refuseMissingAddress(reader, environment);
  return fromConnection(reader);
}

function fromClient(reader: OptionReader<typeof CLIENT_OPTIONS>): ResolvedRedis {
  const client = reader.value('client');
  if (!isRedisClient(client)) {
    reader.refuse('client', CLIENT_RULE);
    return NO_REDIS;
  }
  checkClient(reader.problems, 'redis.client', client);
  return clientOf(client);
}

function fromStore(reader: OptionReader<typeof STORE_OPTIONS>): ResolvedRedis {
  const store = reader.value('store');
  const client = isRecord(store) ? store['client'] : undefined;
  if (!isRedisClient(client)) {
    reader.refuse('store', `a cache-manager-ioredis-yet store, whose client is ${CLIENT_RULE}`);
    return NO_REDIS;
  }
  checkClient(reader.problems, 'redis.store', client);
  return clientOf(client);
}

function fromCluster(root: OptionReader<typeof ONLY_CLUSTER>): ResolvedRedis {
  const given = root.value('cluster');
  if (!isRecord(given)) {
    root.refuse('cluster', 'an object with nodes and options');
    return NO_REDIS;
  }
  const reader = root.level('cluster', CLUSTER_OPTIONS);
  const nodes = readHosts(reader.problems, `${reader.path}nodes`, reader.value('nodes'));
  const options = reader.value('options');
  if (options !== undefined && !isRecord(options)) {
    reader.refuse('options', 'an object');
  }
  const connection = new OptionReader(
    isRecord(options) ? options : {},
    `${reader.path}options.`,
    REDIS_OPTIONS,
    reader.problems,
    Object.keys(REDIS_OPTIONS).filter((name) => !NOT_FOR_CLUSTER.has(name)),
  );
  refuseSentinelOptions(connection);
  checkClusterOptions(reader.problems, `${connection.path}clientOptions.`, connection.value('clientOptions'));
  return clusterOf(nodes, { ...readCommon(connection), tls: readTls(connection, 'tls') ?? DEFAULTS.tls });
}

/**
 * Refuses connection options without an address while a variable gives one: alone they would mean localhost, although
 * the variable names another server.
 */
function refuseMissingAddress(reader: ConnectionReader, environment: EnvironmentReader): void {
  const variable = ADDRESS_VARIABLES.find((name) => environment.has(name));
  if (variable !== undefined && !ADDRESS_OPTIONS.some((name) => reader.has(name))) {
    reader.problems.add(
      'redis',
      'options without an address',
      `one of ${ADDRESS_OPTIONS.join(', ')} as well: ${variable} is set, but not used once the code gives redis`,
    );
  }
}

/** Whether a value is a Redis client, by its shape: `instanceof` fails between two copies of ioredis. */
function isRedisClient(value: unknown): value is object {
  if (!isRecord(value)) {
    return false;
  }
  const { status, on, set, getBuffer } = value;
  return typeof status === 'string' && [on, set, getBuffer].every((method) => typeof method === 'function');
}

/**
 * Reads the options of a server by its address, or by the Sentinels that know it. When the URL and another option give
 * the same setting, the URL has priority.
 */
function fromConnection(reader: ConnectionReader): ResolvedRedis {
  const url = readUrl(reader);
  const host = reader.read('host') ?? DEFAULTS.host;
  const port = reader.read('port');
  const path = reader.read('path');
  const db = reader.read('db');
  const { username, password, credentials, family, connectionName, clientOptions } = readCommon(reader);
  checkConnectionOptions(reader.problems, `${reader.path}clientOptions.`, clientOptions);
  const tls = readTls(reader, 'tls') ?? url?.tls ?? DEFAULTS.tls;
  const shared: Connection = {
    db: url?.db ?? db ?? DEFAULTS.db,
    username: url?.username ?? username,
    password: url?.password ?? password,
    credentials,
    tls,
    connectionName,
    family: url?.family ?? family,
    clientOptions,
  };
  refuseContradictions(reader, url);
  const home = readHome(reader);
  if (reader.has('sentinels')) {
    return singleOf({ ...shared, ...readSentinels(reader, tls) }, home);
  }
  refuseSentinelOptions(reader);
  if (path !== undefined) {
    return singleOf({ ...shared, path }, home);
  }
  return singleOf({ ...shared, host: url?.host ?? host, port: url?.port ?? port ?? DEFAULTS.port }, home);
}

/** The home, if it is not the primary. */
function readHome(reader: ConnectionReader): ResolvedHome | undefined {
  const given = reader.value('home');
  if (!isRecord(given)) {
    const word = given === undefined ? 'primary' : HOME_WORD.accept(given);
    return word === undefined
      ? reader.refuse('home', `${HOME_WORD.allowed}, or an object with ${Object.keys(HOME_OPTIONS).join(', ')}`)
      : homeOf(word);
  }
  const options = reader.level('home', HOME_OPTIONS);
  const nodes = options.has('nodes')
    ? readHosts(reader.problems, `${options.path}nodes`, options.value('nodes'))
    : undefined;
  return homeOf(options.read('pick') ?? DEFAULTS.pick, nodes, options.read('maxLagMs'));
}

function homeOf(
  word: 'primary' | 'nearest' | 'spread',
  nodes?: readonly HostAndPort[],
  maxLagMs: number = DEFAULTS.maxLagMs,
): ResolvedHome | undefined {
  return word === 'primary' ? undefined : { pick: word, maxLagMs, ...(nodes !== undefined && { nodes }) };
}

function readUrl(reader: ConnectionReader): ParsedRedisUrl | undefined {
  const text = reader.value('url');
  if (text === undefined) {
    return undefined;
  }
  const parsed = parseRedisUrl(typeof text === 'string' ? text.trim() : '');
  return parsed.ok ? parsed.address : reader.refuse('url', parsed.allowed, maskAddress(text));
}

function readCommon(reader: ConnectionReader): Connection {
  const clientOptions = reader.value('clientOptions');
  if (clientOptions !== undefined && !isRecord(clientOptions)) {
    reader.refuse('clientOptions', 'an object of ioredis options');
  }
  return {
    username: reader.read('username') || undefined,
    password: reader.read('password') || undefined,
    credentials: reader.read('credentials'),
    connectionName: reader.read('connectionName'),
    family: reader.read('family'),
    clientOptions: isRecord(clientOptions) ? clientOptions : undefined,
  };
}

function readSentinels(reader: ConnectionReader, tls: boolean | TlsOptions): Connection {
  const name = reader.read('name');
  if (!reader.has('name')) {
    reader.refuse('name', "the master's name in the Sentinels' configuration");
  }
  return {
    sentinels: readHosts(reader.problems, `${reader.path}sentinels`, reader.value('sentinels')),
    name,
    sentinelUsername: reader.read('sentinelUsername') || undefined,
    sentinelPassword: reader.read('sentinelPassword') || undefined,
    sentinelTls: readTls(reader, 'sentinelTls') ?? tls,
  };
}

function readHosts(problems: ProblemList, path: string, given: unknown): readonly HostAndPort[] {
  if (!Array.isArray(given) || given.length === 0 || !given.every(isRecord)) {
    problems.add(path, maskAddress(given), 'an array of at least one { host, port }');
    return [];
  }
  return given.map((item, index) => readHost(new OptionReader(item, `${path}[${index}].`, HOST_OPTIONS, problems)));
}

function readHost(reader: OptionReader<typeof HOST_OPTIONS>): HostAndPort {
  if (!reader.has('port')) {
    reader.refuse('port', 'a port from 1 to 65535');
  }
  if (!reader.has('host')) {
    reader.refuse('host', HOST.allowed);
  }
  return Object.freeze({ host: reader.read('host') ?? DEFAULTS.host, port: reader.read('port') ?? DEFAULTS.port });
}

function readTls(reader: ConnectionReader, name: 'tls' | 'sentinelTls'): boolean | TlsOptions | undefined {
  const value = reader.value(name);
  if (value === undefined || typeof value === 'boolean') {
    return value;
  }
  if (!isRecord(value)) {
    return reader.refuse(
      name,
      "true, false, or Node's TLS options",
      typeof value === 'string' ? 'a string' : undefined,
    );
  }
  if (value['rejectUnauthorized'] === false) {
    reader.refuse(name, 'TLS that verifies the server; give a private authority as ca', 'rejectUnauthorized: false');
  }
  return value;
}

function refuseContradictions(reader: ConnectionReader, url: ParsedRedisUrl | undefined): void {
  const places = (['sentinels', 'url', 'path'] as const).filter((name) => reader.has(name));
  for (const name of places.slice(1)) {
    reader.refuse(name, `nothing beside ${places[0]}`, name === 'url' ? maskAddress(reader.value(name)) : undefined);
  }
  for (const name of ['host', 'port'] as const) {
    if (reader.has('sentinels') && reader.has(name)) {
      reader.refuse(name, 'nothing beside sentinels');
    }
  }
  if (url?.tls && reader.value('tls') === false) {
    reader.refuse('tls', 'true or TLS options, for url begins with rediss://');
  }
}

/** Refuses options of Sentinels without `sentinels`: they would have no effect. */
function refuseSentinelOptions(reader: ConnectionReader): void {
  for (const name of ['name', 'sentinelUsername', 'sentinelPassword', 'sentinelTls'] as const) {
    if (reader.has(name)) {
      reader.refuse(name, 'nothing without sentinels', name === 'sentinelPassword' ? '***' : show(reader.value(name)));
    }
  }
}

/**
 * The Redis that the `REDIS_*` variables describe. Only variables that apply are read, and so checked: beside
 * `REDIS_URL` none of the others, beside Sentinels and Cluster nodes neither `REDIS_HOST` nor `REDIS_PORT`.
 */
function redisFromEnvironment(environment: EnvironmentReader): ResolvedRedis {
  const [first, ...others] = ADDRESS_VARIABLES.filter((name) => name !== 'REDIS_HOST' && environment.has(name));
  for (const name of others) {
    environment.refuse(name, `nothing while ${first} is set`, maskAddress(environment.raw(name)));
  }
  if (first === 'REDIS_URL') {
    return fromUrl(environment, homeFromEnvironment(environment));
  }
  const server = first === undefined && {
    host: environment.read(REDIS_OPTIONS.host) ?? DEFAULTS.host,
    port: environment.read(REDIS_OPTIONS.port) ?? DEFAULTS.port,
  };
  const db = environment.read(REDIS_OPTIONS.db) ?? DEFAULTS.db;
  const login = {
    username: environment.raw('REDIS_USERNAME'),
    password: environment.secret('REDIS_PASSWORD'),
    tls: environment.read({ variable: REDIS_OPTIONS.tls.variable, rule: BOOLEAN }) ?? DEFAULTS.tls,
  };
  if (first === 'REDIS_CLUSTER_NODES') {
    for (const variable of ['REDIS_HOME', 'REDIS_HOME_NODES'] as const) {
      if (environment.has(variable)) {
        environment.refuse(
          variable,
          'nothing with REDIS_CLUSTER_NODES: a process reads and listens at the masters then',
        );
      }
    }
    if (db !== 0) {
      environment.refuse('REDIS_DB', '0 with REDIS_CLUSTER_NODES: Redis Cluster has no other database');
    }
    return clusterOf(hostsOf(environment, first), login);
  }
  const home = homeFromEnvironment(environment);
  if (first === 'REDIS_SENTINELS') {
    const name = environment.raw('REDIS_SENTINEL_NAME');
    if (name === undefined) {
      environment.refuse('REDIS_SENTINEL_NAME', "the master's name in the Sentinels' configuration", 'nothing');
    }
    return singleOf({ ...login, db, sentinels: hostsOf(environment, first), name, sentinelTls: login.tls }, home);
  }
  return singleOf({ ...server, db, ...login }, home);
}

function homeFromEnvironment(environment: EnvironmentReader): ResolvedHome | undefined {
  const word = environment.read({ variable: REDIS_OPTIONS.home.variable, rule: HOME_WORD }) ?? 'primary';
  const nodes = environment.has('REDIS_HOME_NODES') ? hostsOf(environment, 'REDIS_HOME_NODES') : undefined;
  if (nodes !== undefined && word === 'primary') {
    environment.refuse('REDIS_HOME_NODES', 'nothing without REDIS_HOME=nearest or REDIS_HOME=spread');
  }
  return homeOf(word, nodes);
}

function fromUrl(environment: EnvironmentReader, home: ResolvedHome | undefined): ResolvedRedis {
  const text = environment.raw('REDIS_URL') ?? '';
  const parsed = parseRedisUrl(text);
  if (!parsed.ok) {
    environment.refuse('REDIS_URL', parsed.allowed, maskAddress(text));
    return NO_REDIS;
  }
  return singleOf({ port: DEFAULTS.port, db: DEFAULTS.db, ...parsed.address }, home);
}

function hostsOf(environment: EnvironmentReader, name: EnvironmentVariableName): readonly HostAndPort[] {
  const text = environment.raw(name) ?? '';
  return parseHosts(text) ?? environment.refuse(name, HOST_LIST_RULE, (HOST.show ?? show)(text)) ?? [];
}

function singleOf(connection: Connection, home: ResolvedHome | undefined): ResolvedRedis {
  return Object.freeze({ kind: 'single', connection: withoutUndefined(connection), ...(home && { home }) });
}

function clusterOf(nodes: readonly HostAndPort[], connection: Connection): ResolvedRedis {
  return Object.freeze({ kind: 'cluster', nodes: Object.freeze([...nodes]), connection: withoutUndefined(connection) });
}

function clientOf(client: object): ResolvedRedis {
  return Object.freeze({ kind: 'client', client });
}

/** Drops properties that are `undefined`: ioredis takes only an absent one for not given. */
function withoutUndefined(connection: Connection): Connection {
  return Object.freeze(Object.fromEntries(Object.entries(connection).filter(([, value]) => value !== undefined)));
}
