import { onTestFinished, vi } from 'vitest';
import {
  RedisConnection,
  type RedisConnectionLimits,
  type RedisConnectionListener,
  type RedisTarget,
} from '../../libs/distributed-cache/src/redis/index.js';

export interface ConnectionForTest {
  readonly connection: RedisConnection;
  /** The states that its listener received, in order: `live`, or `down` with the reason. */
  readonly states: string[];
  /** Resolves when Redis can be used, with the contents of `states` at that time. */
  readonly untilLive: () => Promise<string[]>;
  /** Resolves when Redis can't be used. */
  readonly untilDown: () => Promise<string[]>;
}

/** A connection that ends with its test. It connects at its first use. */
export function connectionForTest(
  target: RedisTarget,
  limits: Partial<RedisConnectionLimits> = {},
  listener: Pick<RedisConnectionListener, 'beforeLive'> = {},
): ConnectionForTest {
  const states: string[] = [];
  const connection = new RedisConnection(
    target,
    { deadlineMs: 300, commandTimeoutMs: 5000, heartbeatMs: 1000, nowMs: () => performance.now(), ...limits },
    { onLive: () => states.push('live'), onDown: (reason) => states.push(`down: ${reason}`), ...listener },
  );
  onTestFinished(() => connection.close());
  const until = async (isLive: boolean): Promise<string[]> => {
    await vi.waitUntil(() => connection.isLive === isLive, { timeout: 10_000, interval: 5 });
    return [...states];
  };
  return { connection, states, untilLive: () => until(true), untilDown: () => until(false) };
}
