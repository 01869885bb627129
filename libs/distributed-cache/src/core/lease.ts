import { TierReplyError } from '../errors/index.js';
import type { EntryKeys, RedisTier } from '../redis/index.js';
import type { KeptLeases } from './kept-leases.js';
import type { LeaseTerm } from './lease-term.js';

/**
 * The right to load one key for the whole cluster. It is renewed while its loader runs, so a slow loader does not lose
 * it.
 */
export class Lease {
  private renewal: NodeJS.Timeout | undefined;
  private isHeld = false;
  /**
   * The term of this lease when it is taken, in milliseconds. The process may hold more leases later, and then takes
   * and renews them for longer.
   */
  readonly leaseMs: number;

  constructor(
    private readonly tier: RedisTier,
    private readonly keys: EntryKeys,
    readonly token: string,
    private readonly term: LeaseTerm,
    private readonly kept: KeptLeases,
  ) {
    this.leaseMs = term.currentMs;
  }

  /**
   * Renews the lease from now on, each third of its term, until {@link stopRenewing}. A failed renewal is repeated at
   * the next interval.
   * @param isOverdue whether the loader runs too long: the lease is released then
   */
  startRenewing(isOverdue: () => boolean): void {
    this.term.held++;
    this.isHeld = true;
    this.renewEvery(this.leaseMs, isOverdue);
  }

  stopRenewing(): void {
    clearInterval(this.renewal);
    if (this.isHeld) {
      this.isHeld = false;
      this.term.held--;
    }
  }

  /** Releases the lease, after no load. If Redis can't be asked, the release is sent again later. Never rejects. */
  release(): Promise<void> {
    return this.giveBack(() => this.tier.release(this.keys, this.token));
  }

  /**
   * Releases the lease after a load that ended without a value to store: the processes that waited for it load at once.
   * Never rejects.
   */
  releaseUnfilled(): Promise<void> {
    return this.giveBack(() => this.tier.releaseUnfilled(this.keys, this.token));
  }

  /**
   * Renews the lease at a third of its term.
   * @param leaseMs the term for which the lease was taken, or last renewed, in milliseconds
   */
  private renewEvery(leaseMs: number, isOverdue: () => boolean): void {
    clearInterval(this.renewal);
    this.renewal = setInterval(() => {
      if (isOverdue()) {
        void this.release();
        return;
      }
      const nextMs = this.term.currentMs;
      this.tier.renew(this.keys, this.token, nextMs).then(
        (isOurs) => isOurs || this.stopRenewing(),
        () => {},
      );
      if (nextMs !== leaseMs) {
        this.renewEvery(nextMs, isOverdue);
      }
    }, leaseMs / 3);
    this.renewal.unref();
  }

  private async giveBack(send: () => Promise<void>): Promise<void> {
    this.stopRenewing();
    try {
      await send();
    } catch (error) {
      if (!(error instanceof TierReplyError)) {
        this.kept.add(this); // a command that was refused would be refused again
      }
    }
  }
}
