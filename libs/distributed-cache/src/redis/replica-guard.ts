import { TierUnreplicatedError } from '../errors/index.js';
import { isCluster, type RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';

/** `WAIT` holds up what is sent behind it on the connection, so it is kept short. */
const MOST_WAIT_MS = 100;
/** A replica that has just not answered is not waited for with every change. */
const PAUSE_MS = 1000;

/**
 * Strict mode: a change counts once a replica has it too. Replication is asynchronous, so what only the master has
 * acknowledged is lost if the master is (`WAIT`: the write survives the failover to a replica that has acknowledged it; it is no
 * guarantee against the loss of both).
 */
export class ReplicaGuard {
  private readonly waitMs: number;
  private unaskedUntilMs = -Infinity;

  constructor(
    private readonly connection: RedisConnection,
    deadlineMs: number,
    private readonly nowMs: () => number,
  ) {
    this.waitMs = Math.max(1, Math.min(MOST_WAIT_MS, Math.floor(deadlineMs / 3)));
  }

  /**
   * To be called after a change of this key.
   * @throws TierUnreplicatedError if no replica has it in time, and the connection's own errors
   */
  async confirm(operation: string, key: string): Promise<void> {
    if (this.nowMs() < this.unaskedUntilMs) {
      throw new TierUnreplicatedError(operation, this.waitMs);
    }
    const replicas = await this.connection.run(
      'WAIT',
      (client) => this.serverOf(client, key).wait(1, this.waitMs),
      key,
    );
    if (replicas < 1) {
      this.unaskedUntilMs = this.nowMs() + PAUSE_MS;
      throw new TierUnreplicatedError(operation, this.waitMs);
    }
  }

  /** What was written on one connection is waited for on that one; a cluster would send `WAIT` anywhere. */
  private serverOf(client: RedisClient, key: string): RedisClient {
    return isCluster(client) ? (this.connection.nodes.ownerOf(key)?.client ?? client) : client;
  }
}
