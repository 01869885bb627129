import { isCluster, type RedisClient } from './redis-client.js';
import { isRefusal } from './reply-errors.js';

/**
 * The Redis server's clock as seen from here. Times in entries are the server's, so processes whose clocks differ agree on
 * when an entry expires; each only needs to know its own offset. The error is at most half the round trip.
 */
export class ServerClock {
  private offsetMs = 0;
  private lastRoundTripMs = 0;

  constructor(private readonly localNowMs: () => number) {}

  nowMs(): number {
    return this.localNowMs() + this.offsetMs;
  }

  /** How long the last answer took, in milliseconds. */
  get roundTripMs(): number {
    return this.lastRoundTripMs;
  }

  /**
   * Reads the server's clock; the answer is proof of life as well, even where the user may not run `TIME` or the server has no such command: then the
   * clocks are taken to agree.
   */
  async learnFrom(client: RedisClient): Promise<void> {
    if (isCluster(client)) {
      // Which of them does not matter: each master's own clock is learned as well.
      const masters = client.nodes('master').map((master) => this.learnFrom(master));
      await Promise.any(masters).catch((error: AggregateError) => {
        throw error.errors[0] ?? new Error('no master is known');
      });
      return;
    }
    const sentAtMs = this.localNowMs();
    const time = await client.time().catch((error: Error) => {
      if (isRefusal(error) && !error.message.startsWith('NOAUTH')) {
        return undefined;
      }
      throw error;
    });
    if (time === undefined) {
      return;
    }
    const [seconds, microseconds] = time;
    const serverMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
    const receivedAtMs = this.localNowMs();
    this.lastRoundTripMs = receivedAtMs - sentAtMs;
    const [leastMs, mostMs] = [serverMs - receivedAtMs, serverMs - sentAtMs];
    // A late answer (a busy process, a slow network) allows for much: it must not spoil what a quick one has found out.
    if (this.offsetMs < leastMs || this.offsetMs > mostMs) {
      this.offsetMs = (leastMs + mostMs) / 2;
    }
  }
}
