import type { Cluster, Redis } from 'ioredis';

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
