import { createConnection, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** How long the end of a connection is awaited. */
const MOST_CLOSING_MS = 1000;

/** Seen from the client: `up` carries commands to the server, `down` carries its answers. */
export type Direction = 'up' | 'down' | 'both';
export type LaneName = Exclude<Direction, 'both'>;

/**
 * Receives what arrives, and returns what is passed on in its place: an empty buffer drops it, and `cut` resets the
 * connection.
 * @param link the connection, counted from 0 in the order in which they were opened
 */
export type TrafficFilter = (link: number, lane: LaneName, chunk: Buffer) => Buffer | 'cut';

/** The settings of every connection of a proxy; the proxy changes them while links use them. */
export interface FaultRules {
  /** Lanes in which new connections begin stalled. */
  readonly stalled: Set<LaneName>;
  delayMs: number;
  swallows: boolean;
  filter: TrafficFilter | undefined;
}

export function lanesOf(direction: Direction): readonly LaneName[] {
  return direction === 'both' ? ['up', 'down'] : [direction];
}

/** One client of a FaultProxy, its connection to the server, and the two lanes between them. */
export class FaultyLink {
  /** Resolves when both sockets are closed. */
  readonly closed: Promise<void>;
  readonly #client: Socket;
  readonly #upstream: Socket | undefined;
  readonly #lanes: Partial<Record<LaneName, Lane>> = {};

  /** @param index counts the connections of a proxy */
  constructor(client: Socket, targetPort: number, rules: FaultRules, index: number) {
    this.#client = client;
    // A black hole has no server.
    this.#upstream = rules.swallows
      ? undefined
      : createConnection({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true });
    if (this.#upstream) {
      const filterOf = (lane: LaneName) => (chunk: Buffer) => rules.filter?.(index, lane, chunk) ?? chunk;
      const cut = (): void => this.reset();
      this.#lanes.up = new Lane(client, this.#upstream, rules, rules.stalled.has('up'), filterOf('up'), cut);
      this.#lanes.down = new Lane(this.#upstream, client, rules, rules.stalled.has('down'), filterOf('down'), cut);
    } else {
      client.on('error', () => {}).resume();
    }
    this.closed = allClosed(this.#upstream ? [client, this.#upstream] : [client]);
  }

  stall(lane: LaneName): void {
    this.#lanes[lane]?.stall();
  }

  resume(): void {
    if (!this.#upstream || this.#lanes.up?.hasLostBytes || this.#lanes.down?.hasLostBytes) {
      this.reset();
      return;
    }
    this.#lanes.up?.resume();
    this.#lanes.down?.resume();
  }

  pump(): void {
    this.#lanes.up?.pump();
    this.#lanes.down?.pump();
  }

  /**
   * Resets both sides and waits until they are closed. In Node the reset of a socket that is shutting down may never
   * end.
   */
  async end(): Promise<void> {
    this.reset();
    await Promise.race([this.closed, delay(MOST_CLOSING_MS)]);
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
  }
}

/** `once(socket, 'close')` is not sufficient: it rejects on the error that comes before the close. */
function allClosed(sockets: readonly Socket[]): Promise<void> {
  return new Promise((resolve) => {
    let open = sockets.length;
    for (const socket of sockets) {
      socket.once('close', () => {
        open -= 1;
        if (open === 0) {
          resolve();
        }
      });
    }
  });
}

interface Parcel {
  readonly arrivedAtMs: number;
  readonly content: Buffer | 'end' | 'reset';
}

/** One direction of one connection: a queue that is emptied from its front, or not at all. */
class Lane {
  hasLostBytes = false;
  readonly #queue: Parcel[] = [];
  readonly #destination: Socket;
  readonly #rules: FaultRules;
  #isStalled: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    source: Socket,
    destination: Socket,
    rules: FaultRules,
    isStalled: boolean,
    filter: (chunk: Buffer) => Buffer | 'cut',
    cut: () => void,
  ) {
    this.#destination = destination;
    this.#rules = rules;
    this.#isStalled = isStalled;
    source.setNoDelay(true);
    source.on('data', (chunk: Buffer) => {
      const passed = filter(chunk);
      if (passed === 'cut') {
        cut();
      } else if (passed.length > 0) {
        this.#receive(passed);
      }
    });
    source.on('end', () => this.#receive('end'));
    source.on('error', () => this.#receive('reset')); // ECONNRESET, or ECONNREFUSED of a dead server
    destination.on('close', () => clearTimeout(this.#timer));
  }

  stall(): void {
    this.#isStalled = true;
  }

  resume(): void {
    this.#isStalled = false;
    this.pump();
  }

  /** Delivers the chunks that are due, and runs again for the rest. */
  pump(): void {
    clearTimeout(this.#timer);
    for (let next = this.#queue[0]; next && !this.#isStalled; next = this.#queue[0]) {
      const waitMs = next.arrivedAtMs + this.#rules.delayMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs);
        return;
      }
      this.#queue.shift();
      this.#deliver(next.content);
    }
  }

  #receive(content: Parcel['content']): void {
    if (this.#rules.swallows) {
      this.hasLostBytes = true;
      return;
    }
    this.#queue.push({ arrivedAtMs: performance.now(), content });
    this.pump();
  }

  #deliver(content: Parcel['content']): void {
    if (this.#destination.destroyed) {
      return;
    }
    if (content === 'reset') {
      this.#destination.resetAndDestroy();
    } else if (content === 'end') {
      this.#destination.end();
    } else {
      this.#destination.write(content);
    }
  }
}
