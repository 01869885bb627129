import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { freePort } from '../support/free-port.js';
import { FaultyLink, type FaultRules } from '../support/faulty-link.js';

/** A proxy whose connections can be broken one by one, in the order in which they were opened. */
export class LinkByLinkProxy {
  readonly links: FaultyLink[] = [];
  readonly #server: Server;
  readonly #rules: FaultRules = { stalled: new Set(), delayMs: 0, swallows: false, filter: undefined };

  static async start(targetPort: number): Promise<LinkByLinkProxy> {
    const proxy = new LinkByLinkProxy(await freePort(), targetPort);
    proxy.#server.listen(proxy.port, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(
    readonly port: number,
    targetPort: number,
  ) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.links.push(new FaultyLink(client, targetPort, this.#rules, this.links.length));
    });
  }

  async close(): Promise<void> {
    this.#server.close();
    await Promise.all(this.links.map((link) => link.end()));
  }
}
