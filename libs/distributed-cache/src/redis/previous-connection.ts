import type { Redis } from 'ioredis';
import { isCluster, type RedisClient } from './redis-client.js';

/** A connection as its server identifies it. */
interface Identity {
  readonly id: string;
  /** Host and port of the client's end. */
  readonly address: string;
}

/**
 * Ends, at the server, the connection that a new one replaces. A write that its caller has given up may still be on its
 * way on the old connection, and would be executed after later commands: a `set` from before an outage over one from
 * after it.
 *
 * The ids of a server begin anew when it restarts, and another server of a failover has ids of its own, so an id alone
 * may belong to any other client. The connection is ended only if its id and the address of the client's end are both
 * the same.
 */
export class PreviousConnection {
  private identity: Identity | undefined;
  private isMet = false;

  /**
   * Ends the connection that `client` had before, and learns the identity of its present one. To be called on each new
   * connection, before an operation is sent on it. Rejects only if the new connection is lost.
   */
  async killFor(client: RedisClient): Promise<void> {
    if (isCluster(client)) {
      return;
    }
    const { identity } = this;
    const [, present] = await Promise.all([
      identity && client.call('client', ['KILL', 'ID', identity.id, 'ADDR', identity.address]).catch(ignoreRefusal),
      identityOf(client),
    ]);
    this.identity = present;
    this.isMet = true;
  }

  /** Learns the identity of the connection, at the first call. Rejects only if it is lost. */
  async meet(client: RedisClient): Promise<void> {
    if (!this.isMet) {
      await this.killFor(client);
    }
  }
}

/**
 * Asks the server for the identity of the connection.
 * @returns `undefined` when the server does not report it, and for a Unix socket, whose ends have no address of their
 * own
 */
async function identityOf(client: Redis): Promise<Identity | undefined> {
  const info = await client.call('client', ['INFO']).catch(ignoreRefusal);
  const [, id, address] = /^id=(\d+) addr=(\S+)/.exec(String(info)) ?? [];
  if (id !== undefined && address !== undefined) {
    return address.endsWith(':0') ? undefined : { id, address };
  }
  const [known, own] = [await client.client('ID').catch(ignoreRefusal), addressOf(client)];
  return known === undefined || own === undefined ? undefined : { id: String(known), address: own };
}

/**
 * The address of the client's end as this process sees it. Behind a proxy the server sees another, and then no
 * connection is ended.
 */
function addressOf({ stream }: Redis): string | undefined {
  const { localAddress, localPort } = stream as { readonly localAddress?: string; readonly localPort?: number };
  if (localAddress === undefined || localPort === undefined) {
    return undefined;
  }
  const host = localAddress.replace(/^::ffff:/, '');
  return host.includes(':') ? `[${host}]:${localPort}` : `${host}:${localPort}`;
}

/** Ignores an error reply: a user without `CLIENT KILL` or `CLIENT INFO` does without this protection. */
function ignoreRefusal(error: Error): undefined {
  if (error.name !== 'ReplyError') {
    throw error;
  }
  return undefined;
}
