import { TierUnreplicatedError } from '../errors/index.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';
import type { ServerNode } from './server-node.js';
import type { ServerPart } from './topology.js';

/** Longest `WAIT`, in milliseconds. It delays every later command on the connection, so it is kept short. */
const MAX_WAIT_MS = 100;
/** After a replica has not acknowledged in time, changes do not wait for one for this long, in milliseconds. */
const PAUSE_MS = 1000;

/**
 * Strict mode: a change counts as done when a replica has it, too. Replication is asynchronous, so a change that only
 * the master has acknowledged is lost with the master (`WAIT`: the write survives the failover to a replica that has
 * acknowledged it; it is no guarantee against the loss of both).
 */
export class ReplicaGuard {
  private readonly waitMs: number;
  /** The servers whose replicas did not acknowledge the last change, and until when they are not asked again. */
  private readonly unaskedUntilMs = new WeakMap<ServerNode, number>();

  constructor(
    private readonly connection: RedisConnection,
    deadlineMs: number,
    private readonly nowMs: () => number,
  ) {
    this.waitMs = Math.max(1, Math.min(MAX_WAIT_MS, Math.floor(deadlineMs / 3)));
  }

  /** Whether the last change of a server in use has reached no replica in time. */
  get isUnconfirmed(): boolean {
    return this.connection.topology.nodes.some((node) => this.unaskedUntilMs.has(node));
  }

  /**
   * Waits until a replica has a change; to be called after a change of this key.
   * @param run sends to the server of the key; default: as every operation, which a node that is being prepared rejects
   * @throws TierUnreplicatedError if no replica has it in time, and the connection's own errors
   */
  async confirm(
    operation: string,
    key: string,
    run: ServerPart['run'] = (name, send) => this.connection.run(name, send, key),
  ): Promise<void> {
    const { unaskedUntilMs, waitMs } = this;
    const node = this.connection.topology.nodeOf(key);
    if (this.nowMs() < (unaskedUntilMs.get(node) ?? -Infinity)) {
      throw new TierUnreplicatedError(operation, waitMs);
    }
    const replicas = await run('WAIT', (client) => this.serverOf(client, key).wait(1, waitMs));
    if (replicas < 1) {
      unaskedUntilMs.set(node, this.nowMs() + PAUSE_MS);
      throw new TierUnreplicatedError(operation, waitMs);
    }
    unaskedUntilMs.delete(node);
  }

  /**
   * The connection on which the key was written: `WAIT` counts the writes of its own connection, and a cluster's client
   * would send it to any node.
   */
  private serverOf(client: RedisClient, key: string): RedisClient {
    return this.connection.topology.connectionOf(key) ?? client;
  }
}
