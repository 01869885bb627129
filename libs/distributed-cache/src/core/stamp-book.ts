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
 * What a reading of the stamp says of the one that this process knew before: it is the same, so nothing was invalidated
 * meanwhile, although its key was announced (its life was extended); or there is another.
 */
export type StampVerdict = 'same' | 'changed';

/**
 * The current stamp of one key, held in this process as long as changes of it would be heard of; else read each time. A stamp
 * that is gone (evicted, an emptied Redis) is made anew: entries of before become misses, never hits.
 */
export class StampBook {
  /** The stamp that this process has seen last; stamps are unique, so the same one again means that nothing was invalidated. */
  private seen: string | undefined;
  private isHeld = false;
  /** Whether there has been a stamp here: one that is gone has been lost, and it is unknown what it invalidated. */
  private isKnown = false;
  /** Moves with every doubt: a read that was under way then is not held. */
  private doubts = 0;
  /** What {@link replace} sent last, whether or not it took effect. */
  attempted = '';
  /** A read under way, which others may wait for unless there is doubt. */
  private asking: { readonly doubts: number; readonly answer: Promise<string> } | undefined;

  constructor(
    private readonly surroundings: StampSurroundings,
    private readonly stampKey: string,
    private readonly onVerdict: (verdict: StampVerdict) => void = () => {},
  ) {}

  /** The stamp, if it is held and may be relied on. */
  get held(): string | undefined {
    return this.isHeld && (this.hearsChanges() || this.surroundings.isExcused(this.stampKey)) ? this.seen : undefined;
  }

  /** Whether this process knows a stamp that another could be compared with. */
  get hasSeen(): boolean {
    return this.seen !== undefined;
  }

  /** @throws the tier's errors */
  current(): Promise<string> {
    const { held, asking, doubts } = this;
    if (held !== undefined) {
      return Promise.resolve(held);
    }
    if (asking?.doubts === doubts && this.hearsChanges()) {
      return asking.answer;
    }
    const begun = { doubts, answer: this.ask() };
    this.asking = begun;
    const end = (): void => {
      if (this.asking === begun) {
        this.asking = undefined;
      }
    };
    begun.answer.then(end, end);
    return begun.answer;
  }

  /** Puts a new stamp in place: what was stored under the old one is a miss from then on. @throws the tier's errors */
  async replace(): Promise<void> {
    const stamp = newStamp(this.surroundings.serverNowMs(this.stampKey));
    this.attempted = stamp;
    this.isKnown = true;
    this.doubt();
    this.seen = undefined;
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    await this.surroundings.tier.replaceStamp(this.stampKey, stamp);
    this.seen = stamp;
    this.hold(heardBefore && this.doubts === doubtsBefore);
  }

  /** It has changed, or may have. */
  doubt(): void {
    this.doubts++;
    this.isHeld = false;
  }

  private async ask(): Promise<string> {
    const { surroundings, stampKey, seen } = this;
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    const stamp =
      (await surroundings.tier.readStamp(stampKey)) ??
      (await surroundings.tier.createStamp(stampKey, newStamp(this.isKnown ? surroundings.serverNowMs(stampKey) : 0)));
    this.isKnown = true;
    if (this.doubts === doubtsBefore) {
      this.seen = stamp;
      this.hold(heardBefore);
      this.onVerdict(seen === undefined || seen === stamp ? 'same' : 'changed');
    }
    return stamp;
  }

  private hearsChanges(): boolean {
    return this.surroundings.hears(this.stampKey);
  }

  private hold(isCertain: boolean): void {
    this.isHeld = isCertain && this.hearsChanges();
  }
}
