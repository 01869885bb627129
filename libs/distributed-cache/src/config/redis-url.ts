import { isHost, withoutBrackets } from './hosts.js';
import { isWithin, LIMITS } from './limits.js';

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

export type RedisUrlResult =
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
  if (host === undefined || !isHost(withoutBrackets(host))) {
    return refused('an address with a host name or an IP address');
  }
  if (user === undefined || secret === undefined) {
    return refused('a username and a password with every % written as %25');
  }
  if (port !== '' && !isWithin(Number(port), LIMITS.port)) {
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
      host: withoutBrackets(host),
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
