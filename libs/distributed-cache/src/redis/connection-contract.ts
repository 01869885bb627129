import type { RedisClient } from './redis-client.js';
import type { Refusal } from './refusals.js';

export type ConnectionState = 'idle' | 'connecting' | 'live' | 'down' | 'closed';

export interface RedisConnectionLimits {
  /** The longest wait of one operation, in milliseconds. */
  readonly deadlineMs: number;
  /** Hard limit of one command at the client, in milliseconds. */
  readonly commandTimeoutMs: number;
  /**
   * A hung or half-open connection is noticed within this time, in milliseconds, even when no command is sent on it.
   */
  readonly heartbeatMs: number;
  readonly nowMs: () => number;
}

/** One server's share of the keys: all of them, or those of one master of a cluster. */
export interface ServerPart {
  owns(key: string): boolean;
  /** Sends as `RedisConnection.run` does, for a key of this part. */
  run<Result>(operation: string, send: (client: RedisClient) => Promise<Result>): Promise<Result>;
}

/** Receives each change of state of the connection, once. */
export interface RedisConnectionListener {
  /**
   * Redis can be used.
   * @param downMs how long it could not be used, in milliseconds; `undefined` at the first connection
   */
  onLive(downMs: number | undefined): void;
  onDown(reason: string): void;
  /**
   * Redis answers again and is not trusted yet. The listener does what must be done first: it replays invalidations and
   * sets up the invalidation channel. A rejection means that this failed, and the connection stays down.
   */
  beforeLive?(client: RedisClient): Promise<void>;
  /** Called at each heartbeat while the connection is live. */
  onHeartbeat?(): void;
  /** One master of a cluster can't be used, while others can. @param name `host:port` */
  onNodeDown?(name: string, reason: string): void;
  /**
   * One master of a cluster answers again and is not trusted yet: the same as `beforeLive`, for its part of the keys.
   */
  beforeNodeLive?(part: ServerPart): Promise<void>;
  onNodeLive?(name: string, downMs: number): void;
  /** Redis answers, but refuses a command. */
  onRefused?(refusal: Refusal): void;
}
