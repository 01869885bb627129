import { isCluster, type RedisClient } from './redis-client.js';
import { isRefusal } from './client-errors.js';

/** The largest drift between two clocks, as a part of the time passed: each clock is slewed by 500 ppm at most. */
const MAX_DRIFT = 0.001;

/**
 * The Redis server's clock, estimated by this process. Times in entries are the server's. So processes whose clocks
 * differ agree on when an entry expires: each of them knows the offset of its own clock. The estimate is wrong by half
 * the round trip at most. The order of times of two processes is certain only when they are further apart than the
 * errors of both.
 */
export class ServerClock {
  private offsetMs = 0;
  /** The offset was between these two values when the server's clock was last read. */
  private leastMs = 0;
  private mostMs = 0;
  private readAtMs: number | undefined;
  private lastRoundTripMs = 0;

  constructor(private readonly localNowMs: () => number) {}

  /** Whether the server's clock has been read. */
  get isKnown(): boolean {
    return this.readAtMs !== undefined;
  }

  nowMs(): number {
    // remedy: server-time
    return this.localNowMs() + this.offsetMs;
  }

  /**
   * The largest possible error of {@link nowMs}, ahead or behind, in milliseconds; 0 when the clocks are assumed to
   * agree.
   */
  get errorMs(): number {
    return Math.max(this.offsetMs - this.leastMs, this.mostMs - this.offsetMs) + this.driftMs(this.localNowMs());
  }

  /** How long the last answer took, in milliseconds. */
  get roundTripMs(): number {
    return this.lastRoundTripMs;
  }

  /**
   * Reads the server's clock. The answer also proves that the server is alive. When the user may not run `TIME`, or the
   * server has no such command, the clocks are assumed to agree.
   */
  async learnFrom(client: RedisClient): Promise<void> {
    if (isCluster(client)) {
      // The first answer of any master is enough: each master's own clock is learned as well.
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

  /**
   * Narrows the range of the offset. A late answer (a busy process, a slow network) has a wide range: it must not
   * replace the narrow range of a quick one.
   */
  private narrow(leastMs: number, mostMs: number, readAtMs: number): void {
    const driftMs = this.driftMs(readAtMs);
    const isFirst = this.readAtMs === undefined;
    const bothLeastMs = Math.max(leastMs, this.leastMs - driftMs);
    const bothMostMs = Math.min(mostMs, this.mostMs + driftMs);
    const isAnother = isFirst || bothLeastMs > bothMostMs; // the clock was set, or belongs to another server
    this.leastMs = isAnother ? leastMs : bothLeastMs;
    this.mostMs = isAnother ? mostMs : bothMostMs;
    this.readAtMs = readAtMs;
    if (this.offsetMs < this.leastMs || this.offsetMs > this.mostMs) {
      this.offsetMs = (this.leastMs + this.mostMs) / 2;
    }
  }

  /** How far the clocks may have drifted apart since the last reading, in milliseconds. */
  private driftMs(nowMs: number): number {
    return MAX_DRIFT * (nowMs - (this.readAtMs ?? nowMs));
  }
}
