import type { TLSSocket } from 'node:tls';
import type { Cluster, Redis, RedisOptions } from 'ioredis';

/** What the package is built on: one ioredis 5 connection, or a cluster of them. */
export type RedisClient = Redis | Cluster;

/** A cluster refuses commands whose keys lie in different slots, so there each key gets a command of its own. */
export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

/**
 * Whether a value that the application handed in can serve as our client. By shape, not `instanceof`: the application may
 * hold another copy of ioredis (an ESM and a CJS one, say).
 */
export function isRedisClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const candidate = value as Partial<Record<'status' | 'getBuffer' | 'set' | 'on', unknown>>;
  return (
    typeof candidate.status === 'string' &&
    typeof candidate.getBuffer === 'function' &&
    typeof candidate.set === 'function' &&
    typeof candidate.on === 'function'
  );
}

/** Bytes that have arrived so far: the proof that a slow connection is not a dead one. Unknown (0) for a cluster. */
export function bytesReadBy(client: RedisClient): number {
  return socketOf(client)?.bytesRead ?? 0;
}

/** Cuts a socket that has gone silent, so that the client opens a new one: a half-open socket never ends by itself. */
export function destroySocketOf(client: RedisClient): void {
  socketOf(client)?.destroy();
}

/**
 * Ends a client of ours. A look at the slots that is under way then would start the cluster's timer anew (ioredis 5.11), and with it
 * go on for ever: a timer that is set from now on is cleared at once.
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

/** Has a client that waits for its next attempt make it now: another connection to the same server has just been opened. */
export function reconnectNow(client: Redis): void {
  if (client.status === 'reconnecting') {
    const waiting = client as unknown as { reconnectTimeout: NodeJS.Timeout | null };
    clearTimeout(waiting.reconnectTimeout ?? undefined);
    waiting.reconnectTimeout = null;
    client.connect().catch(() => {}); // its failure arrives as events, and the attempts go on
  }
}

/** Lets a program end although the connection is open, or about to be opened again. */
export function unrefClient(client: RedisClient): void {
  socketOf(client)?.unref();
  const { reconnectTimeout } = client as unknown as { reconnectTimeout?: NodeJS.Timeout | null };
  reconnectTimeout?.unref();
}

/** Holds back what is written to the connection in this turn of the event loop, to write it in one go. */
export function writeTogether(client: RedisClient): void {
  const socket = socketOf(client);
  if (socket?.writableCorked === 0) {
    socket.cork?.();
    setImmediate(() => socket.uncork?.());
  }
}

/** Writes all that `send` sends on this connection in one go. */
export function inOneWrite<Result>(client: RedisClient, send: () => Result): Result {
  const socket = socketOf(client);
  socket?.cork?.();
  try {
    return send();
  } finally {
    socket?.uncork?.();
  }
}

/** Told what happens on the way to an open connection, beside the events of the client. */
export interface ConnectingWatcher {
  /** A connection beside the client's own has failed: to a Sentinel, or to a node of a cluster that is asked for the slots. */
  onSideFault(error: unknown): void;
  /** Whether the socket of the present attempt is open and the TLS handshake is under way. */
  onTlsPending(isPending: boolean): void;
}

/**
 * Watches the client connect, which must not have begun. What a client with Sentinels or a cluster tells of a connection beside its own is that
 * it is closed; the error with the cause goes to a listener of its own, or, from the connections that watch for a failover, to the console.
 */
export function watchConnecting(client: RedisClient, watcher: ConnectingWatcher): void {
  if (isCluster(client)) {
    client.on('+node', (node: Redis) => watchSlotRequests(node, watcher));
    watchLookups(client, watcher);
  } else {
    watchConnector(client, watcher);
  }
}

/** Where names are looked up in advance, the error of that is told to the strategy of reconnection, and in no event. */
function watchLookups({ options }: Cluster, watcher: ConnectingWatcher): void {
  const { clusterRetryStrategy } = options;
  options.clusterRetryStrategy = (attempt, reason) => {
    if (reason !== undefined) {
      watcher.onSideFault(reason);
    }
    return clusterRetryStrategy?.(attempt, reason);
  };
}

/** A node is asked for the slots on a duplicate of its connection. Other duplicates reconnect, or are connected by us. */
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
  /** The connections that watch for a failover have options; those that ask for the master have none. */
  connectToSentinel?(endpoint: unknown, options?: RedisOptions): Redis;
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
      () => {}, // an error of the client
    );
    return opening;
  };
  if (connectToSentinel !== undefined) {
    connector.connectToSentinel = (endpoint, options) => {
      const sentinel = connectToSentinel(endpoint, options ?? { lazyConnect: true });
      if (options === undefined) {
        watchSideConnection(sentinel, watcher);
      } else {
        sentinel.on('error', () => {}); // it reconnects by itself
      }
      return sentinel;
    };
  }
}

function watchSideConnection(client: Redis, watcher: ConnectingWatcher): void {
  client.on('error', (error: unknown) => watcher.onSideFault(error));
  watchConnector(client, watcher);
}

function watchHandshake(stream: unknown, watcher: ConnectingWatcher): void {
  const socket = stream as Partial<TLSSocket> | undefined;
  if (socket?.encrypted === true) {
    socket.once?.('connect', () => watcher.onTlsPending(true));
    socket.once?.('secureConnect', () => watcher.onTlsPending(false));
  }
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
