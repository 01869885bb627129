import { TierReplyError } from '../errors/index.js';
import type { EntryKeys, RedisTier } from '../redis/index.js';
import type { KeptLeases } from './kept-leases.js';
import type { LeaseTerm } from './lease-term.js';

/** The right to load one key for the whole cluster. Renewed while its loader runs, so that no loader is too slow for it. */
export class Lease {
  private renewal: NodeJS.Timeout | undefined;
  private isHeld = false;
  /** How long it lasts from the moment at which it is taken; by then the process may hold more leases, and take others for longer. */
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
   * Renews it from now on, at a third of its time, until {@link stopRenewing}. A failed renewal is tried again at the next.
   * @param lifeMs after this time it is given back although the loader still runs
   */
  startRenewing(lifeMs: number): void {
    this.term.held++;
    this.isHeld = true;
    this.renewEvery(this.leaseMs, performance.now() + lifeMs);
  }

  stopRenewing(): void {
    clearInterval(this.renewal);
    if (this.isHeld) {
      this.isHeld = false;
      this.term.held--;
    }
  }

  /** Gives it back without having loaded anything. If Redis can't be told, it is told when it can be. Never rejects. */
  release(): Promise<void> {
    return this.giveBack(() => this.tier.release(this.keys, this.token));
  }

  /** As {@link release}, after a load that ended without a value to store: the processes that waited for it load at once. */
  releaseUnfilled(): Promise<void> {
    return this.giveBack(() => this.tier.releaseUnfilled(this.keys, this.token));
  }

  /** @param leaseMs for how long it was taken, or renewed last */
  private renewEvery(leaseMs: number, endsAtMs: number): void {
    clearInterval(this.renewal);
    this.renewal = setInterval(() => {
      if (performance.now() >= endsAtMs) {
        void this.release();
        return;
      }
      const nextMs = this.term.currentMs;
      this.tier.renew(this.keys, this.token, nextMs).then(
        (isOurs) => isOurs || this.stopRenewing(),
        () => {},
      );
      if (nextMs !== leaseMs) {
        this.renewEvery(nextMs, endsAtMs);
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
        this.kept.add(this); // what was refused would be refused again
      }
    }
  }
}
