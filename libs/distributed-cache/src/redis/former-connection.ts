import { isCluster, type RedisClient } from './redis-client.js';

/**
 * Ends, at the server, the connection that this one replaces. A write that its caller has given up may still be on its way there, and
 * would be executed after whatever has been done since: a `set` from before an outage over one from after it. In a cluster
 * each node has a connection of its own, and so one of these.
 */
export class FormerConnection {
  private id: number | undefined;

  /** To be called on each new connection, before anything else is sent on it. Rejects only if that connection is lost. */
  async replaceBy(client: RedisClient): Promise<void> {
    if (isCluster(client)) {
      return;
    }
    const [, id] = await Promise.all([
      this.id === undefined ? undefined : client.client('KILL', 'ID', this.id).catch(ignoreRefusal),
      client.client('ID').catch(ignoreRefusal),
    ]);
    this.id = typeof id === 'number' ? id : undefined;
  }

  /** Learns which connection there is, at the first call. Rejects only if it is lost. */
  async meet(client: RedisClient): Promise<void> {
    if (this.id === undefined) {
      await this.replaceBy(client);
    }
  }
}

/** A user without `CLIENT KILL` or `CLIENT ID` goes without. */
function ignoreRefusal(error: Error): undefined {
  if (error.name !== 'ReplyError') {
    throw error;
  }
  return undefined;
}
