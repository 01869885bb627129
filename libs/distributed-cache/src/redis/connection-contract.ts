import type { RedisClient } from './redis-client.js';
import type { Refusal } from './refusals.js';

export type ConnectionState = 'idle' | 'connecting' | 'live' | 'down' | 'closed';

export interface RedisConnectionLimits {
  /** The most that one operation may wait, in milliseconds. */
  readonly deadlineMs: number;
  /** Hard limit of one command at the client, in milliseconds. */
  readonly commandTimeoutMs: number;
  /** A hung or half-open connection is noticed within this time, in milliseconds, even if nobody uses it. */
  readonly heartbeatMs: number;
  readonly nowMs: () => number;
}

/** One server's share of the keys: all of them, or those of one master of a cluster. */
export interface ServerPart {
  owns(key: string): boolean;
  /** As `RedisConnection.run`, for a key of this part. */
  run<Result>(operation: string, send: (client: RedisClient) => Promise<Result>): Promise<Result>;
}

/** Told of each change of state, once. */
export interface RedisConnectionListener {
  /** @param downMs how long Redis could not be used; `undefined` at the first connection */
  onLive(downMs: number | undefined): void;
  onDown(reason: string): void;
  /**
   * Redis answers again and is not trusted yet: what must be done first (replaying, listening). A rejection means that it
   * could not be done, and the connection stays down.
   */
  beforeLive?(client: RedisClient): Promise<void>;
  /** Called at each heartbeat while the connection is live. */
  onHeartbeat?(): void;
  /** One master of a cluster can't be used, while others can. @param name `host:port` */
  onNodeDown?(name: string, reason: string): void;
  /** As `beforeLive`, for one master of a cluster. */
  beforeNodeLive?(part: ServerPart): Promise<void>;
  onNodeLive?(name: string, downMs: number): void;
  /** Redis answers, and does not carry out a command. */
  onRefused?(refusal: Refusal): void;
}
