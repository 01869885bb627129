import { Redis } from 'ioredis';
import { RedisServer } from '../support/redis-server.js';

const INTERVAL_MS = 20;
/** The wait on a quiet machine. */
const QUIET_MS = 10;

/** How many of the last waits are kept: at least those of a minute. */
const MOST_WAITS = 2000;

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

  /** The number of longer waits. */
  countOver(limitMs: number): number {
    return this.#waits.filter(({ fromMs, toMs }) => toMs - fromMs > limitMs).length;
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
