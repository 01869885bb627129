import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../support/free-port.js';
import { PubSubFilter } from './pubsub-filter.js';

/**
 * One address for a cache, and behind it two paths to the server that fail separately. A new connection takes the path
 * with fewer connections, so the data connection and the subscriber, of which either may reconnect first, use separate
 * paths.
 */
export class LinkSplitter {
  /** While true, messages of subscriptions are lost on their way to the cache, and nothing else. */
  dropsMessages = false;
  readonly #server: Server;
  readonly #ways: readonly { readonly port: number; readonly clients: Set<Socket> }[];

  static async start(...targetPorts: readonly number[]): Promise<LinkSplitter> {
    const splitter = new LinkSplitter(await freePort(), targetPorts);
    splitter.#server.listen(splitter.port, '127.0.0.1');
    await once(splitter.#server, 'listening');
    return splitter;
  }

  private constructor(
    readonly port: number,
    targetPorts: readonly number[],
  ) {
    this.#ways = targetPorts.map((targetPort) => ({ port: targetPort, clients: new Set() }));
    this.#server = createServer((client) => this.#join(client));
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const { clients } of this.#ways) {
      clients.forEach((client) => client.resetAndDestroy());
    }
  }

  #join(client: Socket): void {
    const [way] = this.#ways.toSorted((one, other) => one.clients.size - other.clients.size);
    const { port, clients } = way!;
    const upstream = createConnection({ host: '127.0.0.1', port });
    clients.add(client);
    client.once('close', () => clients.delete(client));
    client.pipe(upstream);
    upstream.pipe(new PubSubFilter(() => this.dropsMessages)).pipe(client);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.setNoDelay(true);
      from.on('error', () => {});
      from.once('close', () => (from.errored === null ? to.destroy() : to.resetAndDestroy()));
    }
  }
}
