import { randomUUID } from 'node:crypto';
import type { RedisTier } from '../redis/index.js';

/**
 * Unique, and it says when it was put in place, or 0 for one that invalidated nothing.
 * @param atMs by the Redis server's clock, too late rather than too early: what was before must not look later
 */
export function newStamp(atMs: number): string {
  return `${Math.floor(atMs)}-${randomUUID()}`;
}

/** When this stamp invalidated what was before it, by the Redis server's clock. */
export function stampedAtMs(stamp: string): number {
  return Number.parseInt(stamp, 10) || 0;
}

/** The stamp of an invalidated tag lives so long at least: a load that began before and adds the tag at its end must find it. */
export const INVALIDATED_MS = 3_600_000;

/** A stamp outlives the entries that it guards by so much, for loads under way and the clocks of others. */
const MARGIN_MS = 60_000;

/** Twice what it is to guard: the next entries of the same life need no extension. */
function stampLifeMs(guardMs: number): number {
  return Math.ceil(2 * guardMs + MARGIN_MS);
}

/** What a stamp needs to know of Redis. */
export interface StampSurroundings {
  readonly tier: RedisTier;
  /** Whether a change of this key would be heard of. */
  hears(stampKey: string): boolean;
  /** The latest time that the clock of the server that has this key may show. */
  latestServerNowMs(stampKey: string): number;
  /** This process's clock. */
  nowMs(): number;
  /**
   * Whether the one master of a cluster that has this key can't be used, while others can, and the fallback lasts: what is held
   * then counts as what is in L1 does, or no key of the namespace could be read.
   */
  isExcused(stampKey: string): boolean;
}

/**
 * What a reading of the stamp says of the one that this process knew before. `same`: nothing was invalidated meanwhile,
 * although the key may have been announced (its life was extended). `lapsed`: its life had ended, no entry carries it any
 * more, and there is a new one that invalidates nothing. `changed`: there is another.
 */
export type StampVerdict = 'same' | 'lapsed' | 'changed';

/**
 * The current stamp of one key, held in this process as long as changes of it would be heard of; else read each time. A stamp
 * that is gone (evicted, an emptied Redis) is made anew: entries of before become misses, never hits.
 *
 * The stamp of a namespace stays until it is replaced: there is one per namespace, and its loss costs every entry. The stamp of
 * a tag has a TTL, since tags come and go with the data: at least as long as the longest life that it guards. What is
 * left of it is known here, so an extension is sent only when a write needs it: about once per half of the stamp's life.
 */
export class StampBook {
  /** The stamp that this process has seen last; stamps are unique, so the same one again means that nothing was invalidated. */
  private seen: string | undefined;
  /** When this process has seen it first, on its own clock: it was in place by then. */
  private seenAtMs = Infinity;
  private isHeld = false;
  /** Whether there has been a stamp here: one that is gone has been lost, and it is unknown what it invalidated. */
  private isKnown = false;
  /** Moves with every doubt: a read that was under way then is not held. */
  private doubts = 0;
  /** What {@link replace} sent last, whether or not it took effect. */
  attempted = '';
  /** A read under way, which others may wait for unless there is doubt. */
  private asking: { readonly doubts: number; readonly answer: Promise<string> } | undefined;
  /** Until then at least it lives, by this process's clock; `undefined`: that is not known. */
  private livesUntilMs: number | undefined;
  /** A tag's stamp from a version that gave it no TTL. */
  private hasNoTtl = false;
  private extendingUntilMs = 0;

  constructor(
    private readonly surroundings: StampSurroundings,
    readonly stampKey: string,
    private readonly isOfTag = false,
    private readonly onVerdict: (verdict: StampVerdict) => void = () => {},
  ) {}

  /** The stamp, if it is held and may be relied on. */
  get held(): string | undefined {
    return this.isHeld && (this.hearsChanges() || this.surroundings.isExcused(this.stampKey)) && !this.hasLapsed()
      ? this.seen
      : undefined;
  }

  /** Whether this process knows a stamp that another could be compared with. */
  get hasSeen(): boolean {
    return this.seen !== undefined;
  }

  /** Whether this process knew this stamp before that moment of its own clock. */
  hasSeenBefore(stamp: string, atMs: number): boolean {
    return this.seen === stamp && this.seenAtMs < atMs;
  }

  /** @param guardMs what a new stamp is to guard. @throws the tier's errors */
  current(guardMs = 0): Promise<string> {
    const { held, asking, doubts } = this;
    if (held !== undefined) {
      return Promise.resolve(held);
    }
    if (asking?.doubts === doubts && this.hearsChanges()) {
      return asking.answer;
    }
    const begun = { doubts, answer: this.ask(guardMs) };
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
    const stamp = newStamp(this.surroundings.latestServerNowMs(this.stampKey));
    this.attempted = stamp;
    this.isKnown = true;
    this.doubt();
    this.seen = undefined;
    this.livesUntilMs = undefined;
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    const lifeMs = this.isOfTag ? INVALIDATED_MS : undefined;
    const sentAtMs = this.surroundings.nowMs();
    await this.surroundings.tier.replaceStamp(this.stampKey, stamp, lifeMs);
    this.note(stamp);
    this.hold(heardBefore && this.doubts === doubtsBefore, sentAtMs, lifeMs);
  }

  /** It has changed, or may have. */
  doubt(): void {
    this.doubts++;
    this.isHeld = false;
  }

  /** An entry of this life is about to be stored under the stamp: has it live as long, without a wait. Never throws. */
  guard(lifeMs: number): void {
    const nowMs = this.surroundings.nowMs();
    const neededUntilMs = nowMs + lifeMs + MARGIN_MS / 2;
    if (!this.isOfTag || Math.max(this.livesUntilMs ?? 0, this.extendingUntilMs) >= neededUntilMs) {
      return;
    }
    const extendedMs = stampLifeMs(lifeMs);
    this.extendingUntilMs = nowMs + extendedMs;
    void this.extend(extendedMs, nowMs).finally(() => (this.extendingUntilMs = 0));
  }

  /** For {@link confirm}: what is held now, and what has come between then. */
  get reading(): { readonly doubts: number } | undefined {
    return this.held === undefined ? undefined : { doubts: this.doubts };
  }

  /** Whether the stamp in Redis is still the one that was held when `reading` was taken, unless a message has come since. */
  confirms(found: string | undefined, { doubts }: { readonly doubts: number }): boolean {
    return doubts !== this.doubts || found === this.seen;
  }

  private async ask(guardMs: number): Promise<string> {
    const { surroundings, stampKey, seen } = this;
    const doubtsBefore = this.doubts;
    const heardBefore = this.hearsChanges();
    const askedAtMs = surroundings.nowMs();
    const isLapsed = this.hasLapsed();
    let lifeMs: number | undefined;
    let stamp: string | undefined;
    if (this.isOfTag) {
      const stored = await surroundings.tier.readStampLife(stampKey);
      ({ stamp, lifeMs } = stored ?? { stamp, lifeMs });
    } else {
      stamp = await surroundings.tier.readStamp(stampKey);
    }
    const isGone = stamp === undefined;
    if (stamp === undefined) {
      const made = newStamp(this.isKnown && !isLapsed ? surroundings.latestServerNowMs(stampKey) : 0);
      const madeMs = this.isOfTag ? stampLifeMs(guardMs) : undefined;
      stamp = await surroundings.tier.createStamp(stampKey, made, madeMs);
      lifeMs = stamp === made ? madeMs : undefined;
    }
    this.isKnown = true;
    if (this.doubts === doubtsBefore) {
      this.note(stamp);
      this.hold(heardBefore, askedAtMs, lifeMs);
      const verdict = isGone && isLapsed && stampedAtMs(stamp) === 0 ? 'lapsed' : 'changed';
      this.onVerdict(seen === undefined || seen === stamp ? 'same' : verdict);
    }
    return stamp;
  }

  private note(stamp: string): void {
    if (this.seen !== stamp) {
      this.seen = stamp;
      this.seenAtMs = this.surroundings.nowMs();
    }
  }

  private async extend(lifeMs: number, sentAtMs: number): Promise<void> {
    const { surroundings, stampKey, hasNoTtl } = this;
    try {
      if (await surroundings.tier.extendStamp(stampKey, lifeMs, hasNoTtl)) {
        this.hasNoTtl = false;
        this.livesUntilMs = Math.max(this.livesUntilMs ?? 0, sentAtMs + lifeMs);
      } else {
        this.livesUntilMs = undefined; // it is gone, or another process has extended it further: the next reading says which
        this.doubt();
      }
    } catch {
      // Then the entry may become a miss before its time; the next write tries again.
    }
  }

  private hasLapsed(): boolean {
    return this.livesUntilMs !== undefined && this.surroundings.nowMs() >= this.livesUntilMs;
  }

  private hearsChanges(): boolean {
    return this.surroundings.hears(this.stampKey);
  }

  private hold(isCertain: boolean, askedAtMs: number, lifeMs: number | undefined): void {
    this.isHeld = isCertain && this.hearsChanges();
    this.hasNoTtl = this.isOfTag && lifeMs === Infinity;
    this.livesUntilMs = lifeMs === undefined || lifeMs === Infinity ? undefined : askedAtMs + lifeMs;
  }
}
