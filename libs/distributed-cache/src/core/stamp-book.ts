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

/** What a stamp needs to know of Redis. */
export interface StampSurroundings {
  readonly tier: RedisTier;
  /** Whether a change of this key would be heard of. */
  hears(stampKey: string): boolean;
  /** The clock of the server that has this key. */
  serverNowMs(stampKey: string): number;
  /**
   * Whether the one master of a cluster that has this key can't be used, while others can, and the fallback lasts: what is held
   * then counts as what is in L1 does, or no key of the namespace could be read.
   */
  isExcused(stampKey: string): boolean;
}

/**
 * The current stamp of one key, held in this process as long as changes of it would be heard of; else read each time. A stamp
 * that is gone (evicted, an emptied Redis) is made anew: entries of before become misses, never hits.
 */
export class StampBook {
  private heldStamp: string | undefined;
  /** Whether this process has seen a stamp here: one that is gone has been lost, and nobody knows what it invalidated. */
  private isKnown = false;
  /** Moves with every doubt: a read that was under way then is not held. */
  private doubts = 0;

  constructor(
    private readonly surroundings: StampSurroundings,
    private readonly stampKey: string,
  ) {}

  /** The stamp, if it is held and may be relied on. */
  get held(): string | undefined {
    return this.heldStamp !== undefined && (this.hearsChanges() || this.surroundings.isExcused(this.stampKey))
      ? this.heldStamp
      : undefined;
  }

  /** @throws the tier's errors */
  async current(): Promise<string> {
    const { surroundings, stampKey, held } = this;
    if (held !== undefined) {
      return held;
    }
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    const stamp =
      (await surroundings.tier.readStamp(stampKey)) ??
      (await surroundings.tier.createStamp(stampKey, newStamp(this.isKnown ? surroundings.serverNowMs(stampKey) : 0)));
    this.isKnown = true;
    this.hold(stamp, heardBefore && this.doubts === doubtsBefore);
    return stamp;
  }

  /** Puts a new stamp in place: what was stored under the old one is a miss from then on. @throws the tier's errors */
  async replace(): Promise<void> {
    const stamp = newStamp(this.surroundings.serverNowMs(this.stampKey));
    this.isKnown = true;
    this.forget();
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    await this.surroundings.tier.replaceStamp(this.stampKey, stamp);
    this.hold(stamp, heardBefore && this.doubts === doubtsBefore);
  }

  /** It has changed, or may have. */
  forget(): void {
    this.doubts++;
    this.heldStamp = undefined;
  }

  private hearsChanges(): boolean {
    return this.surroundings.hears(this.stampKey);
  }

  private hold(stamp: string, isCertain: boolean): void {
    if (isCertain && this.hearsChanges()) {
      this.heldStamp = stamp;
    }
  }
}
