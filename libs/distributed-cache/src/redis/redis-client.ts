import nodeModule from 'node:module';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { afterThisTurn } from './deadline.js';

/** The ioredis client of the cache: one connection, or a cluster of them. */
export type RedisClient = Redis | Cluster;

/**
 * Whether the client is that of a Redis Cluster. A cluster refuses commands whose keys are in different slots, so there
 * each key gets a command of its own.
 */
export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

/** The version and the place of the client that a module of this folder would load; `undefined` if it finds none. */
export function clientVersion(folder: string): string | undefined {
  try {
    const require = nodeModule.createRequire(join(folder, 'module.js')); // webpack warns of the function alone
    const manifest = require.resolve('ioredis/package.json');
    return `${(require(manifest) as { version: string }).version} in ${manifest}`;
  } catch {
    return undefined;
  }
}

/**
 * Number of bytes that have arrived so far, from all masters of a cluster: while it grows, the connection is slow but
 * not dead.
 */
export function bytesReadBy(client: RedisClient): number {
  return isCluster(client)
    ? client.nodes('master').reduce((sum, node) => sum + bytesReadBy(node), 0)
    : (socketOf(client)?.bytesRead ?? 0);
}

/** The open connection of the client, as an identity; the client itself for a cluster. */
export function connectionOf(client: RedisClient): object {
  return socketOf(client) ?? client;
}

/**
 * Destroys a socket on which nothing arrives any more, so that the client opens a new one: a half-open socket never
 * ends by itself.
 */
export function destroySocketOf(client: RedisClient): void {
  socketOf(client)?.destroy();
}

/**
 * Ends a client that this library has opened. A cluster's client sets its timer again when a refresh of the slots ends
 * that is under way now (ioredis 5.11), and so goes on for ever. So each timer that it sets from now on is cleared at
 * once.
 */
export function endClient(client: RedisClient): void {
  client.disconnect();
  if (isCluster(client)) {
    Object.defineProperty(client, 'slotsTimer', {
      get: () => null,
      set: (timer: NodeJS.Timeout | null) => {
        clearTimeout(timer ?? undefined);
      },
    });
  }
}

/**
 * Makes a client that waits for its next attempt connect now: another connection to the same server has just been
 * opened.
 */
export function reconnectNow(client: Redis): void {
  if (client.status === 'reconnecting') {
    const waiting = client as unknown as { reconnectTimeout: NodeJS.Timeout | null };
    clearTimeout(waiting.reconnectTimeout ?? undefined);
    waiting.reconnectTimeout = null;
    client.connect().catch(() => {}); // a failure arrives as events, and the attempts go on
  }
}

/**
 * Unrefs a connection and its reconnection timer, so that a program can end although the connection is open, or about
 * to be opened again.
 */
export function unrefClient(client: RedisClient): void {
  socketOf(client)?.unref();
  const { reconnectTimeout } = client as unknown as { reconnectTimeout?: NodeJS.Timeout | null };
  reconnectTimeout?.unref();
}

/** Holds back what is written to the connection in this turn of the event loop, to write it in one system call. */
export function writeTogether(client: RedisClient): void {
  const socket = socketOf(client);
  if (socket?.writableCorked === 0) {
    socket.cork?.();
    afterThisTurn(() => socket.uncork?.());
  }
}

/** Writes all that `send` sends on this connection in one system call. */
export function inOneWrite<Result>(client: RedisClient, send: () => Result): Result {
  const socket = socketOf(client);
  socket?.cork?.();
  try {
    return send();
  } finally {
    socket?.uncork?.();
  }
}

/** Receives what happens while a client connects, in addition to the events of the client. */
export interface ConnectingWatcher {
  /**
   * An additional connection of the client has failed: to a Sentinel, or to a node of a cluster that is asked for the
   * slots.
   */
  onSideFault(error: unknown): void;
  /** Whether the socket of the present attempt is open and the TLS handshake is under way. */
  onTlsPending(isPending: boolean): void;
  /** The server takes no login: it has no password, or no user names (before Redis 6). */
  onLoginUnused?(): void;
}

/**
 * Observes a client while it connects. It must be called before the client connects. A client with Sentinels or a
 * cluster has additional connections, and reports only that one of them is closed. The error with the cause goes to the
 * listeners of that connection; the client writes those of connections that watch for a failover to the console.
 */
export function watchConnecting(client: RedisClient, watcher: ConnectingWatcher): void {
  if (isCluster(client)) {
    client.on('+node', (node: Redis) => {
      watchLogin(node, watcher);
      watchSlotRequests(node, watcher);
    });
    watchOwnSubscriber(client, watcher);
    watchLookups(client, watcher);
  } else {
    watchLogin(client, watcher);
    watchConnector(client, watcher);
  }
}

/** Replies to AUTH after which the client goes on without a login. It would write them to the console each time. */
const LOGIN_UNUSED = /no password is set|without any password configured|wrong number of arguments for 'auth'/;

type LoginCallback = (error?: Error | null, reply?: unknown) => void;

/** Observes the login. ioredis 5 passes a callback to `auth`, ioredis 6 takes the promise. */
function watchLogin(client: Redis, watcher: ConnectingWatcher): void {
  const unlessUnused = (error: Error | null | undefined): Error | null => {
    if (error === null || error === undefined || !LOGIN_UNUSED.test(error.message)) {
      return error ?? null;
    }
    watcher.onLoginUnused?.();
    return null;
  };
  const auth = client.auth.bind(client) as (login: unknown, callback?: LoginCallback) => Promise<unknown>;
  const watched = (login: unknown, callback?: LoginCallback): Promise<unknown> =>
    callback === undefined
      ? auth(login).catch((error: Error) => {
          const failure = unlessUnused(error);
          return failure === null ? undefined : Promise.reject(failure);
        })
      : auth(login, (error, reply) => callback(unlessUnused(error), reply));
  client.auth = watched as Redis['auth'];
}

/** Observes the connection that a cluster's client opens for subscriptions, although this library makes none on it. */
function watchOwnSubscriber(cluster: Cluster, watcher: ConnectingWatcher): void {
  const { subscriber: holder } = cluster as unknown as { readonly subscriber?: { subscriber?: Redis | null } };
  let current = holder?.subscriber;
  if (holder !== undefined) {
    Object.defineProperty(holder, 'subscriber', {
      get: () => current,
      set: (subscriber: Redis | null) => {
        current = subscriber;
        if (subscriber !== null) {
          watchLogin(subscriber, watcher);
        }
      },
    });
  }
}

/**
 * Observes name lookups. When names are resolved in advance, their error is passed to the reconnection strategy only,
 * and emitted as no event.
 */
function watchLookups({ options }: Cluster, watcher: ConnectingWatcher): void {
  const { clusterRetryStrategy } = options;
  options.clusterRetryStrategy = (attempt, reason) => {
    if (reason !== undefined) {
      watcher.onSideFault(reason);
    }
    return clusterRetryStrategy?.(attempt, reason);
  };
}

/**
 * Observes requests for the slots. A node is asked for them on a duplicate of its connection without a retry strategy;
 * other duplicates reconnect, or are connected by this library.
 */
function watchSlotRequests(node: Redis, watcher: ConnectingWatcher): void {
  const duplicate = node.duplicate.bind(node);
  node.duplicate = (options) => {
    const other = duplicate(options);
    if (options?.retryStrategy === null) {
      watchSideConnection(other, watcher);
    }
    return other;
  };
}

interface Connector {
  connect?(...args: unknown[]): Promise<unknown>;
  /**
   * Opens a connection to a Sentinel. Those that watch for a failover have options; those that ask for the master have
   * none.
   */
  connectToSentinel?(endpoint: unknown, options?: RedisOptions): Redis;
  /** Asks a Sentinel for the master. */
  resolve?(endpoint: unknown): Promise<Address | null>;
  disconnect?(): void;
  readonly stream?: { destroy(): void } | null;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** For a client with Sentinels, whether they name another master than the one that it has connected to last. */
const failoverChecks = new WeakMap<Redis, () => Promise<boolean>>();

/**
 * Whether the Sentinels name another master than the one that this client is connected to. The first answer of a
 * Sentinel counts; without an answer, or without Sentinels, the result is false. Never rejects.
 */
export async function hasOtherMaster(client: RedisClient): Promise<boolean> {
  return isCluster(client) ? false : (await failoverChecks.get(client)?.()) === true;
}

function watchConnector(client: Redis, watcher: ConnectingWatcher): void {
  const { connector } = client as unknown as { connector?: Connector };
  const connect = connector?.connect?.bind(connector);
  const connectToSentinel = connector?.connectToSentinel?.bind(connector);
  if (connector === undefined || connect === undefined) {
    return;
  }
  connector.connect = (...args) => {
    watcher.onTlsPending(false);
    const opening = connect(...args);
    opening.then(
      (stream) => watchHandshake(stream, watcher),
      () => {}, // the client reports this error itself
    );
    return opening;
  };
  if (connectToSentinel !== undefined) {
    connector.connectToSentinel = (endpoint, options) => {
      const sentinel = connectToSentinel(endpoint, options ?? { lazyConnect: true });
      if (options === undefined) {
        if (client.status !== 'ready') {
          watchSideConnection(sentinel, watcher); // otherwise only asked whether there was a failover
        }
      } else {
        sentinel.on('error', () => {}); // this connection reconnects by itself
        watchLogin(sentinel, watcher);
      }
      return sentinel;
    };
    watchFailover(client, connector);
  }
}

/**
 * A former master must not be heard after a failover: one that was frozen answers from the past. The client itself would
 * go on reading from it for `disconnectTimeout`, and it does not receive the message about a failover that happens
 * between the answer of the Sentinel and its subscription.
 */
function watchFailover(client: Redis, connector: Connector): void {
  const disconnect = connector.disconnect?.bind(connector);
  const resolve = connector.resolve?.bind(connector);
  if (resolve === undefined) {
    return;
  }
  connector.disconnect = () => {
    disconnect?.();
    connector.stream?.destroy();
  };
  let master: Address | null = null;
  connector.resolve = async (endpoint) => (master = await resolve(endpoint));
  failoverChecks.set(client, async () => {
    const asking = (client.options.sentinels ?? []).map(async (endpoint) => {
      const named = await resolve(endpoint);
      if (named === null) {
        throw new Error('it knows no such master');
      }
      return named.host !== master?.host || named.port !== master.port;
    });
    return Promise.any(asking).catch(() => false);
  });
}

function watchSideConnection(client: Redis, watcher: ConnectingWatcher): void {
  client.on('error', (error: unknown) => watcher.onSideFault(error));
  watchLogin(client, watcher);
  watchConnector(client, watcher);
}

function watchHandshake(stream: unknown, watcher: ConnectingWatcher): void {
  const socket = stream as Partial<TLSSocket> | undefined;
  if (socket?.encrypted === true) {
    socket.once?.('connect', () => watcher.onTlsPending(true));
    socket.once?.('secureConnect', () => watcher.onTlsPending(false));
  } else {
    socket?.once?.('connect', () => watchGreeting(socket, watcher));
  }
}

/** The text of the error reply to a connection beyond `maxclients`. */
export const TOO_MANY_CLIENTS = 'max number of clients';

/**
 * Reads the error reply with which a server closes a connection beyond `maxclients`, or in protected mode. The client
 * would take it for the answer to a command whose failure it ignores. The client's writes of the first turn of the event
 * loop are sent together: a second write to a closed connection would discard the reply.
 */
function watchGreeting(socket: Partial<TLSSocket>, watcher: ConnectingWatcher): void {
  socket.once?.('data', (first: Buffer) => {
    const text = first.toString('latin1', 0, 64);
    if (text.startsWith(`-ERR ${TOO_MANY_CLIENTS}`) || text.startsWith('-DENIED ')) {
      watcher.onSideFault(new Error(text));
    }
  });
  socket.cork?.();
  afterThisTurn(() => socket.uncork?.());
}

interface SocketLike {
  readonly bytesRead: number;
  readonly writableCorked?: number;
  cork?(): void;
  uncork?(): void;
  destroy(): void;
  unref(): void;
}

function socketOf(client: RedisClient): SocketLike | undefined {
  if (isCluster(client)) {
    return undefined;
  }
  const { stream } = client as { stream?: Partial<SocketLike> | null };
  return typeof stream?.destroy === 'function' && typeof stream.unref === 'function'
    ? (stream as SocketLike)
    : undefined;
}
