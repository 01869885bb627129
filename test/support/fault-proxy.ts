import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { type Direction, type FaultRules, FaultyLink, lanesOf, type TrafficFilter } from './faulty-link.js';
import { freePort } from './free-port.js';

export type { Direction, TrafficFilter };

/**
 * A TCP proxy inside the test process that causes network faults on demand.
 *
 * Bytes are held back or dropped, never reordered: each direction of a connection is a queue, and a byte, an end of
 * stream or a reset leaves it only at its front.
 */
export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly #server: Server;
  readonly #links = new Set<FaultyLink>();
  readonly #rules: FaultRules = { stalled: new Set(), delayMs: 0, swallows: false, filter: undefined };
  #targetPort: number;
  #port = 0;
  #opened = 0;
  #isClosed = false;

  /** Forwards a port of its own to `targetPort` of 127.0.0.1. */
  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#port = await freePort();
    await proxy.#listen();
    return proxy;
  }

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const link = new FaultyLink(client, this.#targetPort, this.#rules, this.#opened++);
      this.#links.add(link);
      void link.closed.then(() => this.#links.delete(link));
    });
  }

  get port(): number {
    return this.#port;
  }

  /** How many connections have been opened so far. */
  get opened(): number {
    return this.#opened;
  }

  /** Passes all arriving traffic to `filter` from now on, and delivers what `filter` returns. */
  filter(filter: TrafficFilter | undefined): void {
    this.#rules.filter = filter;
  }

  /** How many clients are connected now. */
  get connections(): number {
    return this.#links.size;
  }

  /**
   * Holds back everything in this direction, new connections included, until `resume()`.
   * With `onlyExisting`, connections opened later are healthy: the fault of a path under an old socket.
   */
  stall(direction: Direction = 'both', { onlyExisting = false } = {}): void {
    for (const each of lanesOf(direction)) {
      if (!onlyExisting) {
        this.#rules.stalled.add(each);
      }
      for (const link of this.#links) {
        link.stall(each);
      }
    }
  }

  /**
   * Ends `stall` and `blackhole`. Bytes held back by a stall are delivered, in order. A connection that lost bytes to
   * the black hole is reset.
   */
  resume(): void {
    this.#rules.stalled.clear();
    this.#rules.swallows = false;
    for (const link of this.#links) {
      link.resume();
    }
  }

  /**
   * Delivers everything this much later, both ways; 0 ends it. The delay counts from the arrival of a byte, also of a
   * waiting one.
   */
  delay(delayMs: number): void {
    this.#rules.delayMs = delayMs;
    for (const link of this.#links) {
      link.pump();
    }
  }

  /** Resets (RST) every connection, on both sides. New ones are accepted. */
  cut(): void {
    for (const link of this.#links) {
      link.reset();
    }
  }

  /** While true, new connections are refused (ECONNREFUSED); open ones continue. */
  async refuseNew(refuse: boolean): Promise<void> {
    if (refuse && this.#server.listening) {
      // Not awaited: `close` ends only when the last open connection does, but stops listening at once.
      this.#server.close();
    } else if (!refuse && !this.#server.listening && !this.#isClosed) {
      await this.#listen();
    }
  }

  /** New connections reach another port of 127.0.0.1; open ones remain, as behind one address after a failover. */
  redirect(targetPort: number): void {
    this.#targetPort = targetPort;
  }

  /** Connections stay open and new ones are accepted, but every byte is dropped, both ways, until `resume()`. */
  blackhole(): void {
    this.#rules.swallows = true;
  }

  /** Resets all connections and stops listening. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#server.close();
    await Promise.all([...this.#links].map((link) => link.end()));
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, this.host);
    await once(this.#server, 'listening');
  }
}
