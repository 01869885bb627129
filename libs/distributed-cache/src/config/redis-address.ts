import { isIPv6 } from 'node:net';
import type { HostAndPort, RedisConnectionOptions, ResolvedRedis } from './redis-schema.js';
import { HOST, PORT } from './rules.js';

/*
 * The address of Redis as text: URLs and lists of hosts are parsed, and the resolved address is described for logs.
 */

/**
 * The options of one server, or of the servers behind Sentinels, without the URL, whose parts have been copied into
 * them.
 */
export type Connection = Omit<RedisConnectionOptions, 'url' | 'home'>;

/** The parts of an address; a part that the address does not contain is absent. */
export interface ParsedRedisUrl {
  readonly host: string;
  readonly port?: number;
  readonly db?: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls: boolean;
  readonly family?: 0 | 4 | 6;
}

type RedisUrlResult =
  { readonly ok: true; readonly address: ParsedRedisUrl } | { readonly ok: false; readonly allowed: string };

const FAMILIES: ReadonlyMap<string, 0 | 4 | 6> = new Map([
  ['0', 0],
  ['4', 4],
  ['6', 6],
]);

/**
 * Parses `redis[s]://[[username]:password@]host[:port][/db][?family=4]`. A failure names the rule and shows nothing of
 * the text: an unescaped `/`, `?` or `#` in a password moves its end to any other part of the URL.
 */
export function parseRedisUrl(text: string): RedisUrlResult {
  if (!/^rediss?:\/\//iu.test(text)) {
    return refused('an address that begins with redis:// or rediss://');
  }
  if (!URL.canParse(text)) {
    return refused(
      'redis://[[username]:password@]host[:port][/db]; special characters in the password are percent-encoded',
    );
  }
  const { protocol, hostname, port, pathname, username, password, searchParams, hash } = new URL(text);
  const [host, user, secret] = [hostname, username, password].map(decode);
  const address = HOST.accept(host);
  if (address === undefined) {
    return refused('an address with a host name or an IP address');
  }
  if (user === undefined || secret === undefined) {
    return refused('a username and a password with every % written as %25');
  }
  if (port !== '' && PORT.accept(Number(port)) === undefined) {
    return refused('a port from 1 to 65535');
  }
  if (!/^(\/\d{0,9})?$/u.test(pathname)) {
    return refused('nothing but a database number after the host, such as /0');
  }
  const familyText = searchParams.get('family');
  const family = FAMILIES.get(familyText ?? '');
  if (
    hash !== '' ||
    searchParams.size > (familyText === null ? 0 : 1) ||
    (familyText !== null && family === undefined)
  ) {
    return refused('no query parameter but family (0, 4 or 6), and no #');
  }
  return {
    ok: true,
    address: {
      host: address,
      tls: protocol === 'rediss:',
      ...(port !== '' && { port: Number(port) }),
      ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
      ...(user !== '' && { username: user }),
      ...(secret !== '' && { password: secret }),
      ...(family !== undefined && { family }),
    },
  };
}

function refused(allowed: string): RedisUrlResult {
  return { ok: false, allowed };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // a % that does not begin an escape
  }
}

/** The sentence of an error message about a list of hosts. */
export const HOST_LIST_RULE = 'host:port,host:port (an IPv6 address in brackets), each port from 1 to 65535';

/** Parses a list of hosts, `host:port,[::1]:port`; `undefined` when one of them is wrong. */
export function parseHosts(text: string): HostAndPort[] | undefined {
  const hosts: HostAndPort[] = [];
  for (const part of text.split(',')) {
    const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(part.trim()) ?? [];
    const host = bracketed === undefined ? HOST.accept(plain) : isIPv6(bracketed) ? bracketed : undefined;
    const port = PORT.accept(Number(digits));
    if (host === undefined || port === undefined) {
      return undefined;
    }
    hosts.push({ host, port });
  }
  return hosts;
}

/** The address of Redis for logs, without user and password; `undefined` without Redis. */
export function describeRedis(redis: ResolvedRedis): string | undefined {
  switch (redis.kind) {
    case 'none':
      return undefined;
    case 'client':
      return "the application's own Redis client";
    case 'cluster':
      return `cluster ${scheme(redis.connection)}${redis.nodes.map(formatHost).join(',')}`;
    case 'single':
      return describeConnection(redis.connection);
  }
}

function describeConnection(connection: Connection): string {
  const { sentinels, name, path, host = '', port = 0, db = 0 } = connection;
  if (sentinels) {
    return `${scheme(connection)}${name}/${db} via sentinels ${sentinels.map(formatHost).join(',')}`;
  }
  return path === undefined
    ? `${scheme(connection)}${formatHost({ host, port })}/${db}`
    : `unix:${path}, database ${db}`;
}

function scheme({ tls = false }: Connection): string {
  return tls === false ? 'redis://' : 'rediss://';
}

function formatHost({ host, port }: HostAndPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
