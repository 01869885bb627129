import { randomUUID } from 'node:crypto';
import type { RedisTier } from '../redis/index.js';

/** Unique, and it says when it was put in place: by the Redis server's clock, or 0 for one that invalidated nothing. */
export function newStamp(atMs: number): string {
  return `${Math.floor(atMs)}-${randomUUID()}`;
}

/** When this stamp invalidated what was before it, by the Redis server's clock. */
export function stampedAtMs(stamp: string): number {
  return Number.parseInt(stamp, 10) || 0;
}

/**
 * The current stamp of one key, held in this process as long as changes of it would be heard of; else read each time. A stamp
 * that is gone (evicted, an emptied Redis) is made anew: entries of before become misses, never hits.
 */
export class StampBook {
  private held: string | undefined;
  /** Whether this process has seen a stamp here: one that is gone has been lost, and nobody knows what it invalidated. */
  private isKnown = false;
  /** Moves with every doubt: a read that was under way then is not held. */
  private doubts = 0;

  constructor(
    private readonly tier: RedisTier,
    private readonly stampKey: string,
    private readonly hearsChanges: () => boolean,
    private readonly serverNowMs: () => number,
  ) {}

  /** @throws the tier's errors */
  async current(): Promise<string> {
    if (this.held !== undefined && this.hearsChanges()) {
      return this.held;
    }
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    const stamp =
      (await this.tier.readStamp(this.stampKey)) ??
      (await this.tier.createStamp(this.stampKey, newStamp(this.isKnown ? this.serverNowMs() : 0)));
    this.isKnown = true;
    this.hold(stamp, heardBefore && this.doubts === doubtsBefore);
    return stamp;
  }

  /** Puts a new stamp in place: what was stored under the old one is a miss from then on. @throws the tier's errors */
  async replace(): Promise<void> {
    const stamp = newStamp(this.serverNowMs());
    this.isKnown = true;
    this.forget();
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    await this.tier.replaceStamp(this.stampKey, stamp);
    this.hold(stamp, heardBefore && this.doubts === doubtsBefore);
  }

  /** It has changed, or may have. */
  forget(): void {
    this.doubts++;
    this.held = undefined;
  }

  private hold(stamp: string, isCertain: boolean): void {
    if (isCertain && this.hearsChanges()) {
      this.held = stamp;
    }
  }
}
