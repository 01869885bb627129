import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { ClusterOptions, RedisOptions } from 'ioredis';
import { followCredentials, type AskForCredentials } from './credentials.js';

/** The options of one connection, as the application gave them. */
export interface ConnectionSettings {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly db?: number;
  readonly username?: string;
  readonly password?: string;
  readonly credentials?: AskForCredentials;
  readonly tls?: boolean | TlsOptions;
  readonly sentinels?: readonly { readonly host: string; readonly port: number }[];
  readonly name?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  readonly sentinelTls?: boolean | TlsOptions;
  readonly connectionName?: string;
  readonly family?: number;
  readonly clientOptions?: Readonly<Record<string, unknown>>;
}

/** The end of the keys on which the user's rights are checked. No key of an entry ends so. */
export const CHECK_KEY_END = '}:check';

const RECONNECT_FIRST_MS = 50;
const RECONNECT_SOON_MS = 70;
/** Number of attempts at the short interval: about ten seconds, which a restart or a failover takes. */
const SOON_ATTEMPTS = 140;
const MAX_RECONNECT_MS = 1000;
const MAX_REFUSED_MS = 500;
const READONLY_RECONNECT_FIRST_MS = 1000;
const MAX_READONLY_RECONNECT_MS = 16_000;
/**
 * Length of a pause without `READONLY` after which the next one counts as another failover: three heartbeats of the
 * default length.
 */
const READONLY_QUIET_MS = 3000;

/** Longest time for opening a connection, its handshake included, in milliseconds; then another attempt is made. */
export const CONNECT_ATTEMPT_MS = 1000;

/**
 * The delay before an attempt to reconnect: 50 ms, then 70 ms, and 1 s when the outage has lasted for about ten
 * seconds. A jitter of a quarter each way keeps the processes of a fleet from reconnecting at the same moment.
 */
export function reconnectDelayMs(attempt: number): number {
  const maxMs = attempt <= SOON_ATTEMPTS ? RECONNECT_SOON_MS : MAX_RECONNECT_MS;
  const delayMs = Math.min(RECONNECT_FIRST_MS * 2 ** Math.max(0, attempt - 1), maxMs);
  return Math.round(delayMs * (0.75 + Math.random() * 0.5));
}

/**
 * The delay before the attempt after so many refusals in a row (a wrong password, too many connections): 50 ms, doubling
 * to 500 ms, with the same jitter.
 */
export function refusedDelayMs(refusals: number): number {
  const delayMs = Math.min(RECONNECT_FIRST_MS * 2 ** (refusals - 1), MAX_REFUSED_MS);
  return Math.round(delayMs * (0.75 + Math.random() * 0.5));
}

/**
 * Decides when a `READONLY` reply makes the client reconnect. After a failover the old master answers `READONLY`, and a
 * reconnection finds the new one. A reconnection also interrupts the reads, so not each `READONLY` causes one: each
 * reconnection that finds the same server doubles the pause before the next. A change that was refused is sent again at
 * each heartbeat. So a pause without `READONLY` means that the new master was found, and the next `READONLY` is about
 * another failover. The commands that only check the user's rights don't count: nothing waits for them.
 */
function reconnectOnReadOnly(): (error: Error) => boolean {
  let reconnectedAtMs = -Infinity;
  let lastReplyAtMs = -Infinity;
  let pauseMs = 0;
  return (error) => {
    if (!/^(READONLY|MASTERDOWN)/.test(error.message) || isOfCheck(error)) {
      return false;
    }
    const nowMs = performance.now();
    if (nowMs - lastReplyAtMs > READONLY_QUIET_MS) {
      pauseMs = 0;
    }
    lastReplyAtMs = nowMs;
    if (nowMs - reconnectedAtMs < pauseMs) {
      return false;
    }
    pauseMs = Math.min(Math.max(pauseMs * 2, READONLY_RECONNECT_FIRST_MS), MAX_READONLY_RECONNECT_MS);
    reconnectedAtMs = nowMs;
    return true;
  };
}

function isOfCheck({ command }: Error & { readonly command?: { readonly args?: readonly unknown[] } }): boolean {
  return command?.args?.some((arg) => String(arg).endsWith(CHECK_KEY_END)) === true;
}

/**
 * Client options with which commands fail fast. With the client's defaults a command to a dead server fails after ten
 * seconds, and one to a hung server never. A write that had timed out is sent again after the reconnection, and
 * overwrites a newer value. `socketTimeout` stays unset: in ioredis 5 its timer survives a reconnection and ends the
 * next, healthy socket (redis/ioredis#2147). The heartbeat finds a silent socket instead.
 */
function failFastOptions(commandTimeoutMs: number): RedisOptions {
  return {
    lazyConnect: true,
    connectTimeout: Math.min(CONNECT_ATTEMPT_MS, commandTimeoutMs),
    commandTimeout: commandTimeoutMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    disconnectTimeout: 200,
    keepAlive: 5000,
    noDelay: true,
    maxLoadingRetryTime: 500,
  };
}

const SENTINEL_OPTIONS: RedisOptions = {
  sentinelRetryStrategy: (attempt) => Math.min(reconnectDelayMs(attempt), 500),
  sentinelReconnectStrategy: (attempt) => Math.min(reconnectDelayMs(attempt), 500),
  sentinelCommandTimeout: 500,
  failoverDetector: true,
};

/** Options that the application may have chosen for its own commands, and that would change this library's commands. */
const OWN_COMMANDS: RedisOptions = { stringNumbers: false, monitor: false };

/**
 * Options that would change the connections of a duplicated client. With RESP3, the default of ioredis 6, the messages
 * of `CLIENT TRACKING` are dropped; ioredis 5 has no such options. For `socketTimeout` see {@link failFastOptions}.
 */
const OWN_CONNECTION: object = { protocol: 2, replyMapping: 'legacy', socketTimeout: undefined };

function withoutCommandOptions(options: object = {}): object {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !Object.hasOwn(OWN_COMMANDS, name)));
}

/** The ioredis options for one server, or for a master behind Sentinels. */
export function singleClientOptions(settings: ConnectionSettings, commandTimeoutMs: number): RedisOptions {
  const { sentinels, tls, sentinelTls, clientOptions } = settings;
  const options: RedisOptions = {
    ...failFastOptions(commandTimeoutMs),
    retryStrategy: reconnectDelayMs,
    // The ready check sends INFO. A server that is loading its data is found by PING; with Sentinels INFO says whether
    // the node is still a master.
    enableReadyCheck: sentinels !== undefined,
    reconnectOnError: reconnectOnReadOnly(),
    ...definedOnly({
      host: settings.host,
      port: settings.port,
      path: settings.path,
      db: settings.db,
      username: settings.username,
      password: settings.password,
      connectionName: settings.connectionName,
      family: settings.family,
      tls: tlsOptions(tls),
    }),
  };
  if (sentinels !== undefined) {
    Object.assign(options, SENTINEL_OPTIONS, {
      sentinels: sentinels.map(({ host, port }) => ({ host, port })),
      enableTLSForSentinelMode: tls !== undefined && tls !== false,
      ...definedOnly({
        name: settings.name,
        sentinelUsername: settings.sentinelUsername,
        sentinelPassword: settings.sentinelPassword,
        sentinelTLS: tlsOptions(sentinelTls),
      }),
    });
  }
  Object.assign(options, withoutCommandOptions(clientOptions));
  // Without a ready check, an answer to `CLIENT SETINFO` that a lost connection cuts off makes the client `ready` for
  // good (ioredis 5.11).
  return options.enableReadyCheck === false ? { ...options, disableClientInfo: true } : options;
}

/**
 * The options of a cluster's client. The cluster reconnects to its nodes: a `retryStrategy` of the nodes would
 * interfere with that.
 */
export function clusterClientOptions(settings: ConnectionSettings, commandTimeoutMs: number): ClusterOptions {
  const { lazyConnect, ...redisOptions } = failFastOptions(commandTimeoutMs);
  const { redisOptions: ownRedisOptions, ...ownOptions } = settings.clientOptions ?? {};
  return {
    lazyConnect,
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    maxRedirections: 5,
    // Zero means never: otherwise a command that its caller has given up is sent again, to the new master, when the
    // connection of a hung one ends.
    retryDelayOnFailover: 0,
    // No retry: every master answers `CLUSTERDOWN` until a failover is done, which takes longer than a caller waits.
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 10, // half of the keys of a script have moved to another master: the others will follow soon
    slotsRefreshTimeout: 500,
    // Names are resolved when a node is connected to. With a lookup in advance, TLS would compare an address with the
    // names in the certificate, and one unknown name would keep the client from all other nodes.
    dnsLookup: keepName,
    slotsRefreshInterval: 1000, // this refresh finds the new master
    redisOptions: {
      ...redisOptions,
      ...definedOnly({
        username: settings.username,
        password: settings.password,
        connectionName: settings.connectionName,
        family: settings.family,
        tls: tlsOptions(settings.tls),
      }),
      // Copied one by one: as a whole they would replace the login above.
      ...(typeof ownRedisOptions === 'object' ? withoutCommandOptions(ownRedisOptions ?? {}) : {}),
    },
    ...ownOptions,
  };
}

function keepName(name: string, callback: (error: null, address: string) => void): void {
  callback(null, name);
}

function tlsOptions(tls: boolean | TlsOptions | undefined): TlsOptions | undefined {
  if (tls === undefined || tls === false) {
    return undefined;
  }
  return tls === true ? {} : { ...tls };
}

/**
 * The options of our own client beside a client of the application: they replace every option but the address and the
 * login.
 */
export function singleOptionsLike(application: RedisOptions, commandTimeoutMs: number): RedisOptions {
  return {
    ...OWN_CONNECTION,
    ...failFastOptions(commandTimeoutMs),
    ...OWN_COMMANDS,
    enableAutoPipelining: false,
    readOnly: false,
    disableClientInfo: true, // as in singleClientOptions
    role: 'master',
    retryStrategy: reconnectDelayMs,
    reconnectOnError: reconnectOnReadOnly(),
    enableReadyCheck: Boolean(application.sentinels),
    ...(application.sentinels ? SENTINEL_OPTIONS : {}),
  };
}

/**
 * The options of our own cluster client beside one of the application; the counterpart of {@link singleOptionsLike}.
 */
export function clusterOptionsLike(application: ClusterOptions, commandTimeoutMs: number): ClusterOptions {
  const { redisOptions, dnsLookup: _ours, ...options } = clusterClientOptions({}, commandTimeoutMs);
  const nodeOptions: RedisOptions = {
    ...application.redisOptions,
    ...OWN_CONNECTION,
    ...redisOptions,
    ...OWN_COMMANDS,
    readOnly: false,
  };
  return {
    ...options,
    clusterNodeRetryStrategy: undefined,
    enableAutoPipelining: false,
    scaleReads: 'master',
    redisOptions: followCredentials(nodeOptions, () => application.redisOptions ?? {}),
  };
}

/** Removes the properties that are `undefined`: in the client they would replace its defaults. */
function definedOnly<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<Options>;
}
