import { isCluster, type RedisClient } from './redis-client.js';
import { isRefusal } from './reply-errors.js';

/** Two clocks drift apart by this part of the time at most: each is slewed by 500 ppm at most. */
const MAX_DRIFT = 0.001;

/**
 * The Redis server's clock as seen from here. Times in entries are the server's, so processes whose clocks differ agree on
 * when an entry expires; each only needs to know its own offset. The error is at most half the round trip, and is known: times of two
 * processes are in order only where they are further apart than both errors.
 */
export class ServerClock {
  private offsetMs = 0;
  /** The offset lay between these two when the server's clock was last read. */
  private leastMs = 0;
  private mostMs = 0;
  private readAtMs: number | undefined;
  private lastRoundTripMs = 0;

  constructor(private readonly localNowMs: () => number) {}

  nowMs(): number {
    return this.localNowMs() + this.offsetMs;
  }

  /** By how much {@link nowMs} may be wrong, ahead or behind; 0 where the clocks are taken to agree. */
  get errorMs(): number {
    return Math.max(this.offsetMs - this.leastMs, this.mostMs - this.offsetMs) + this.driftMs(this.localNowMs());
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
    this.narrow(serverMs - receivedAtMs, serverMs - sentAtMs, receivedAtMs);
  }

  /** A late answer (a busy process, a slow network) allows for much: it must not spoil what a quick one has found out. */
  private narrow(leastMs: number, mostMs: number, readAtMs: number): void {
    const driftMs = this.driftMs(readAtMs);
    const isFirst = this.readAtMs === undefined;
    const bothLeastMs = Math.max(leastMs, this.leastMs - driftMs);
    const bothMostMs = Math.min(mostMs, this.mostMs + driftMs);
    const isAnother = isFirst || bothLeastMs > bothMostMs; // the clock was set, or it is another server's
    this.leastMs = isAnother ? leastMs : bothLeastMs;
    this.mostMs = isAnother ? mostMs : bothMostMs;
    this.readAtMs = readAtMs;
    if (this.offsetMs < this.leastMs || this.offsetMs > this.mostMs) {
      this.offsetMs = (this.leastMs + this.mostMs) / 2;
    }
  }

  /** How far the clocks may have drifted apart since the last reading. */
  private driftMs(nowMs: number): number {
    return MAX_DRIFT * (nowMs - (this.readAtMs ?? nowMs));
  }
}
