import type { RedisClient } from './redis-client.js';

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
}
