import { randomUUID } from 'node:crypto';
import type { RedisTier } from '../redis/index.js';

/**
 * Makes a unique stamp that contains the time at which it is stored, or 0 for one that invalidates nothing.
 * @param atMs by the Redis server's clock, rather too late than too early: an earlier change must not look later than
 * the stamp
 */
export function newStamp(atMs: number): string {
  return `${Math.floor(atMs)}-${randomUUID()}`;
}

/** The time at which this stamp invalidated what was before it, by the Redis server's clock. */
export function stampedAtMs(stamp: string): number {
  return Number.parseInt(stamp, 10) || 0;
}

/**
 * The shortest life of an invalidated tag's stamp, in milliseconds: a load that began before and adds the tag at its
 * end must find it.
 */
export const INVALIDATED_MS = 3_600_000;

/**
 * How much longer a stamp lives than the entries that it guards, in milliseconds, for loads under way and the clocks of
 * others.
 */
const MARGIN_MS = 60_000;

/** The life of a stamp, twice what it is to guard: the next entries of the same life need no extension. */
function stampLifeMs(guardMs: number): number {
  return Math.ceil(2 * guardMs + MARGIN_MS);
}

/** The facts about Redis that a stamp needs. */
export interface StampStore {
  readonly tier: RedisTier;
  /** Whether this process receives a change of this key. */
  tracksChanges(stampKey: string): boolean;
  /** The latest time that the clock of the server that holds this key may show. */
  latestServerNowMs(stampKey: string): number;
  /** The time of this process. */
  nowMs(): number;
  /**
   * Whether the one master of a cluster that holds this key can't be used, while others can, and the fallback still
   * lasts. The held stamp then counts, as copies in L1 do; otherwise no key of the namespace could be read.
   */
  mayServeHeldStamp(stampKey: string): boolean;
}

/**
 * The result of a comparison of the stamp in Redis with the one that this process knew before. `same`: nothing was
 * invalidated meanwhile, although the key may have been announced (its life was extended). `lapsed`: its life had
 * ended, no entry carries it any more, and there is a new one that invalidates nothing. `changed`: there is another.
 */
export type StampVerdict = 'same' | 'lapsed' | 'changed';

/**
 * The current stamp of one key, held in this process as long as it receives changes of the key; otherwise read each
 * time. A stamp that is gone (evicted, an emptied Redis) is made anew: earlier entries become misses, never hits.
 *
 * The stamp of a namespace stays until it is replaced: there is one per namespace, and its loss costs every entry. The
 * stamp of a tag has a TTL, since tags come and go with the data: at least as long as the longest life that it guards.
 * The rest of its life is known here, so an extension is sent only when a write needs it: about once per half of the
 * stamp's life.
 */
export class HeldStamp {
  /**
   * The last stamp that this process has read or stored. Stamps are unique, so the same one again means that nothing
   * was invalidated.
   */
  private seen: string | undefined;
  /** When this process first had it, on its own clock: the stamp was in place by then. */
  private seenAtMs = Infinity;
  private isHeld = false;
  /** Whether there has been a stamp here. If it is gone, it has been lost, and it is unknown what it invalidated. */
  private isKnown = false;
  /** Increases with every doubt: the result of a read that was under way then is not held. */
  private doubts = 0;
  /** The stamp that {@link replace} sent last, whether or not it took effect. */
  attempted = '';
  /** A read under way, which other calls may wait for unless there is doubt. */
  private asking: { readonly doubts: number; readonly answer: Promise<string> } | undefined;
  /** The time until which the stamp lives at least, by this process's clock; `undefined` when that is not known. */
  private livesUntilMs: number | undefined;
  /** Whether the stamp has no TTL, although it is a tag's: it is from a version that gave it none. */
  private hasNoTtl = false;
  private extendingUntilMs = 0;

  constructor(
    private readonly store: StampStore,
    readonly stampKey: string,
    private readonly isOfTag = false,
    private readonly onVerdict: (verdict: StampVerdict) => void = () => {},
  ) {}

  /** The stamp, if it is held and may be trusted. */
  get held(): string | undefined {
    return this.isHeld && (this.tracksChanges() || this.store.mayServeHeldStamp(this.stampKey)) && !this.hasLapsed()
      ? this.seen
      : undefined;
  }

  /** Whether this process knows a stamp with which another could be compared. */
  get hasSeen(): boolean {
    return this.seen !== undefined;
  }

  /** Whether this process knew this stamp before that moment of its own clock. */
  hasSeenBefore(stamp: string, atMs: number): boolean {
    // remedy: own-invalidation-by-stamp
    return this.seen === stamp && this.seenAtMs < atMs;
  }

  /**
   * Returns the current stamp, and makes one if there is none.
   * @param guardMs the life that a new stamp is to guard, in milliseconds.
   * @param isPiece whether a piece of a batch waits for it, which waits longer: see `SendCost`
   * @throws the tier's errors
   */
  current(guardMs = 0, isPiece = false): Promise<string> {
    const { held, asking, doubts } = this;
    if (held !== undefined) {
      return Promise.resolve(held);
    }
    if (asking?.doubts === doubts && this.tracksChanges()) {
      return asking.answer;
    }
    const begun = { doubts, answer: this.ask(guardMs, isPiece) };
    this.asking = begun;
    const end = (): void => {
      if (this.asking === begun) {
        this.asking = undefined;
      }
    };
    begun.answer.then(end, end);
    return begun.answer;
  }

  /**
   * Stores a new stamp: entries that were stored under the old one are misses from then on.
   * @throws the tier's errors
   */
  async replace(): Promise<void> {
    const stamp = newStamp(this.store.latestServerNowMs(this.stampKey));
    this.attempted = stamp;
    this.isKnown = true;
    this.doubt();
    this.seen = undefined;
    this.livesUntilMs = undefined;
    const doubtsBefore = this.doubts;
    const trackedBefore = this.tracksChanges();
    const lifeMs = this.isOfTag ? INVALIDATED_MS : undefined;
    const sentAtMs = this.store.nowMs();
    await this.store.tier.replaceStamp(this.stampKey, stamp, lifeMs);
    this.note(stamp);
    this.hold(trackedBefore && this.doubts === doubtsBefore, sentAtMs, lifeMs);
  }

  /** The stamp has changed, or may have. */
  doubt(): void {
    this.doubts++;
    this.isHeld = false;
  }

  /**
   * Extends the life of the stamp, in the background, because an entry is about to be stored under it. Never throws.
   * @param guardMs how long Redis will keep the entry, in milliseconds
   */
  guard(guardMs: number): void {
    const nowMs = this.store.nowMs();
    const neededUntilMs = nowMs + guardMs + MARGIN_MS / 2;
    if (!this.isOfTag || Math.max(this.livesUntilMs ?? 0, this.extendingUntilMs) >= neededUntilMs) {
      return;
    }
    const extendedMs = stampLifeMs(guardMs);
    this.extendingUntilMs = nowMs + extendedMs;
    void this.extend(extendedMs, nowMs).finally(() => (this.extendingUntilMs = 0));
  }

  /** The state to compare with in {@link confirms}; `undefined` when no stamp is held. */
  get reading(): { readonly doubts: number } | undefined {
    return this.held === undefined ? undefined : { doubts: this.doubts };
  }

  /**
   * Whether the stamp in Redis is still the one that was held when `reading` was taken, or a message has arrived since.
   */
  confirms(found: string | undefined, { doubts }: { readonly doubts: number }): boolean {
    return doubts !== this.doubts || found === this.seen;
  }

  private async ask(guardMs: number, isPiece: boolean): Promise<string> {
    const { store, stampKey, seen } = this;
    const doubtsBefore = this.doubts;
    const trackedBefore = this.tracksChanges();
    const askedAtMs = store.nowMs();
    const isLapsed = this.hasLapsed();
    let lifeMs: number | undefined;
    let stamp: string | undefined;
    if (this.isOfTag) {
      const stored = await store.tier.readStampLife(stampKey, isPiece);
      ({ stamp, lifeMs } = stored ?? { stamp, lifeMs });
    } else {
      stamp = await store.tier.readStamp(stampKey, isPiece);
    }
    const isGone = stamp === undefined;
    if (stamp === undefined) {
      // remedy: lost-stamp-is-new
      const made = newStamp(this.isKnown && !isLapsed ? store.latestServerNowMs(stampKey) : 0);
      const madeMs = this.isOfTag ? stampLifeMs(guardMs) : undefined;
      stamp = await store.tier.createStamp(stampKey, made, madeMs, isPiece);
      lifeMs = stamp === made ? madeMs : undefined;
    }
    this.isKnown = true;
    if (this.doubts === doubtsBefore) {
      this.note(stamp);
      this.hold(trackedBefore, askedAtMs, lifeMs);
      const verdict = isGone && isLapsed && stampedAtMs(stamp) === 0 ? 'lapsed' : 'changed';
      // remedy: same-stamp-is-no-invalidation
      this.onVerdict(seen === undefined || seen === stamp ? 'same' : verdict);
    }
    return stamp;
  }

  private note(stamp: string): void {
    if (this.seen !== stamp) {
      this.seen = stamp;
      this.seenAtMs = this.store.nowMs();
    }
  }

  private async extend(lifeMs: number, sentAtMs: number): Promise<void> {
    const { store, stampKey, hasNoTtl } = this;
    try {
      if (await store.tier.extendStamp(stampKey, lifeMs, hasNoTtl)) {
        this.hasNoTtl = false;
        this.livesUntilMs = Math.max(this.livesUntilMs ?? 0, sentAtMs + lifeMs);
      } else {
        this.livesUntilMs = undefined; // it is gone, or another process has extended it further: the next read says which
        this.doubt();
      }
    } catch {
      // The entry may then become a miss early; the next write tries again.
    }
  }

  private hasLapsed(): boolean {
    return this.livesUntilMs !== undefined && this.store.nowMs() >= this.livesUntilMs;
  }

  private tracksChanges(): boolean {
    return this.store.tracksChanges(this.stampKey);
  }

  private hold(isCertain: boolean, askedAtMs: number, lifeMs: number | undefined): void {
    this.isHeld = isCertain && this.tracksChanges();
    this.hasNoTtl = this.isOfTag && lifeMs === Infinity;
    this.livesUntilMs = lifeMs === undefined || lifeMs === Infinity ? undefined : askedAtMs + lifeMs;
  }
}
