import { Redis } from 'ioredis';
import { RedisServer } from '../support/redis-server.js';

const INTERVAL_MS = 20;
/** The wait on a quiet machine. */
const QUIET_MS = 10;

/** How many of the last waits, and of the last times, are kept: at least those of a minute. */
const MOST_WAITS = 2000;
const MOST_TIMES = 4000;

interface Wait {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * How long a bare client waits for a healthy Redis on this machine, measured continuously in the same event loop: the
 * part of a call's time that other work of the processor causes, independent of the cache.
 */
export class MachineNoise {
  /** The sum of all waits. */
  busyMs = 0;
  longestMs = 0;
  /** Waits that a quiet machine would not have had, from the time at which each command was due. */
  readonly #waits: Wait[] = [];
  /** How long the event loop of this process has been idle, at one time after the other. */
  readonly #times: { readonly atMs: number; readonly idleMs: number }[] = [];
  readonly #server: RedisServer;
  readonly #client: Redis;
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = 0;
  #isStopped = false;

  static async start(): Promise<MachineNoise> {
    const server = await RedisServer.start();
    const noise = new MachineNoise(server);
    await noise.#client.ping();
    noise.#askLater();
    return noise;
  }

  private constructor(server: RedisServer) {
    this.#server = server;
    this.#client = new Redis({ host: server.host, port: server.port });
    this.#client.on('error', () => {});
  }

  /** The number of longer waits that began within this time; default: ever. */
  countOver(limitMs: number, fromMs = -Infinity, toMs = Infinity): number {
    return this.#waits.filter((wait) => wait.toMs - wait.fromMs > limitMs && wait.toMs > fromMs && wait.fromMs < toMs)
      .length;
  }

  /**
   * The largest share of a period of this length for which the event loop of this process worked, 0 to 1, of the periods
   * that ended within this time.
   */
  busiestShare(periodMs: number, fromMs: number, toMs: number): number {
    let [first, busiest] = [0, 0];
    for (const { atMs, idleMs } of this.#times) {
      while (this.#times[first + 1]!.atMs <= atMs - periodMs) {
        first++;
      }
      const beginning = this.#times[first]!;
      const lengthMs = atMs - beginning.atMs;
      if (atMs > fromMs && beginning.atMs < toMs && lengthMs >= periodMs) {
        busiest = Math.max(busiest, 1 - (idleMs - beginning.idleMs) / lengthMs);
      }
    }
    return busiest;
  }

  /** The part of this time for which the machine was busy with other work. */
  withinMs(fromMs: number, toMs: number): number {
    const first = this.#waits.findIndex((wait) => wait.toMs > fromMs);
    let sumMs = 0;
    for (let index = first; index >= 0 && index < this.#waits.length; index++) {
      const wait = this.#waits[index]!;
      sumMs += Math.max(0, Math.min(wait.toMs, toMs) - Math.max(wait.fromMs, fromMs));
    }
    return sumMs;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#client.disconnect();
    await this.#server.stop();
  }

  #askLater(): void {
    this.#dueAtMs = performance.now() + INTERVAL_MS;
    this.#timer = setTimeout(() => void this.#ask().catch(() => {}), INTERVAL_MS);
  }

  async #ask(): Promise<void> {
    await this.#client.ping();
    const [fromMs, toMs] = [this.#dueAtMs, performance.now()];
    this.#times.push({ atMs: toMs, idleMs: performance.nodeTiming.idleTime });
    if (this.#times.length > 2 * MOST_TIMES) {
      this.#times.splice(0, MOST_TIMES);
    }
    if (toMs - fromMs > QUIET_MS) {
      this.busyMs += toMs - fromMs;
      this.longestMs = Math.max(this.longestMs, toMs - fromMs);
      this.#waits.push({ fromMs, toMs });
      if (this.#waits.length > 2 * MOST_WAITS) {
        this.#waits.splice(0, MOST_WAITS);
      }
    }
    if (!this.#isStopped) {
      this.#askLater();
    }
  }
}
