import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { checkConnectionOptions } from './client-option-rules.js';
import { DEFAULTS } from './defaults.js';
import { HOST_RULE, isHost, showHost, withoutBrackets } from './hosts.js';
import { LIMITS } from './limits.js';
import { isRecord, OptionReader } from './option-reader.js';
import { HOST_OPTIONS } from './option-table.js';
import type { HostAndPort, RedisConnectionOptions, ResolvedRedis } from './options.js';
import { maskAddress, type ProblemList } from './problem-list.js';
import { parseRedisUrl, type ParsedRedisUrl } from './redis-url.js';
import { type Connection, singleOf } from './resolved-redis.js';

export type ConnectionReader = OptionReader<RedisConnectionOptions>;

/**
 * Reads the options of a server by its address, or by the Sentinels that know it. When the URL and another option give
 * the same setting, the URL has priority.
 */
export function fromConnection(reader: ConnectionReader): ResolvedRedis {
  const url = readUrl(reader);
  const host = reader.has('host') ? readHostName(reader) : DEFAULTS.host;
  const port = reader.integer('port', LIMITS.port);
  const path = reader.text('path');
  const db = reader.integer('db', LIMITS.db);
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
  if (reader.has('sentinels')) {
    return singleOf({ ...shared, ...readSentinels(reader, tls) });
  }
  refuseSentinelOptions(reader);
  if (path !== undefined) {
    return singleOf({ ...shared, path });
  }
  return singleOf({ ...shared, host: url?.host ?? host, port: url?.port ?? port ?? DEFAULTS.port });
}

function readUrl(reader: ConnectionReader): ParsedRedisUrl | undefined {
  const text = reader.value('url');
  if (text === undefined) {
    return undefined;
  }
  const parsed = parseRedisUrl(typeof text === 'string' ? text.trim() : '');
  return parsed.ok ? parsed.address : reader.refuse('url', parsed.allowed, maskAddress(text));
}

export function readCommon(reader: ConnectionReader): Connection {
  const clientOptions = reader.value('clientOptions');
  if (clientOptions !== undefined && !isRecord(clientOptions)) {
    reader.refuse('clientOptions', 'an object of ioredis options');
  }
  return {
    username: reader.secret('username'),
    password: reader.secret('password'),
    credentials: reader.function('credentials'),
    connectionName: reader.text('connectionName'),
    family: reader.choice('family', [0, 4, 6]),
    clientOptions: isRecord(clientOptions) ? clientOptions : undefined,
  };
}

function readSentinels(reader: ConnectionReader, tls: boolean | TlsOptions): Connection {
  const name = reader.text('name');
  if (!reader.has('name')) {
    reader.refuse('name', "the master's name in the Sentinels' configuration");
  }
  return {
    sentinels: readHosts(reader.problems, `${reader.path}sentinels`, reader.value('sentinels')),
    name,
    sentinelUsername: reader.secret('sentinelUsername'),
    sentinelPassword: reader.secret('sentinelPassword'),
    sentinelTls: readTls(reader, 'sentinelTls') ?? tls,
  };
}

export function readHosts(problems: ProblemList, path: string, given: unknown): readonly HostAndPort[] {
  if (!Array.isArray(given) || given.length === 0 || !given.every(isRecord)) {
    problems.add(path, maskAddress(given), 'an array of at least one { host, port }');
    return [];
  }
  return given.map((item, index) =>
    readHost(new OptionReader(item, `${path}[${index}].`, Object.keys(HOST_OPTIONS), problems)),
  );
}

function readHost(reader: OptionReader<HostAndPort>): HostAndPort {
  const port = reader.integer('port', LIMITS.port) ?? DEFAULTS.port;
  if (!reader.has('port')) {
    reader.refuse('port', 'a port from 1 to 65535');
  }
  return Object.freeze({ host: readHostName(reader), port });
}

function readHostName(reader: OptionReader<HostAndPort> | ConnectionReader): string {
  const host = reader.value('host');
  if (typeof host === 'string' && isHost(withoutBrackets(host))) {
    return withoutBrackets(host);
  }
  reader.refuse('host', HOST_RULE, showHost(host));
  return DEFAULTS.host;
}

export function readTls(reader: ConnectionReader, name: 'tls' | 'sentinelTls'): boolean | TlsOptions | undefined {
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
      reader.refuse(name, 'nothing beside sentinels', showHost(reader.value(name)));
    }
  }
  if (url?.tls && reader.value('tls') === false) {
    reader.refuse('tls', 'true or TLS options, for url begins with rediss://');
  }
}

/** Refuses options of Sentinels without `sentinels`: they would have no effect. */
export function refuseSentinelOptions(reader: ConnectionReader): void {
  for (const name of ['name', 'sentinelUsername', 'sentinelPassword', 'sentinelTls'] as const) {
    if (reader.has(name)) {
      reader.refuse(name, 'nothing without sentinels', name === 'sentinelPassword' ? '***' : undefined);
    }
  }
}
