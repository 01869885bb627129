import { TierReplyError } from '../errors/index.js';
import type { EntryKeys, RedisTier } from '../redis/index.js';
import type { KeptLeases } from './kept-leases.js';

/** The right to load one key for the whole cluster. Renewed while its loader runs, so that no loader is too slow for it. */
export class Lease {
  private renewal: NodeJS.Timeout | undefined;

  constructor(
    private readonly tier: RedisTier,
    private readonly keys: EntryKeys,
    readonly token: string,
    private readonly leaseMs: number,
    private readonly kept: KeptLeases,
  ) {}

  /**
   * Renews it from now on, at a third of its time, until {@link stopRenewing}. A failed renewal is tried again at the next.
   * @param lifeMs after this time it is given back although the loader still runs
   */
  startRenewing(lifeMs: number): void {
    const startedAtMs = performance.now();
    this.renewal = setInterval(() => {
      if (performance.now() - startedAtMs >= lifeMs) {
        void this.release();
        return;
      }
      this.tier.renew(this.keys, this.token, this.leaseMs).then(
        (isOurs) => isOurs || this.stopRenewing(),
        () => {},
      );
    }, this.leaseMs / 3);
    this.renewal.unref();
  }

  stopRenewing(): void {
    clearInterval(this.renewal);
  }

  /** Gives it back without having loaded anything. If Redis can't be told, it is told when it can be. Never rejects. */
  release(): Promise<void> {
    return this.giveBack(() => this.tier.release(this.keys, this.token));
  }

  /** As {@link release}, after a load that ended without a value to store: the processes that waited for it load at once. */
  releaseUnfilled(): Promise<void> {
    return this.giveBack(() => this.tier.releaseUnfilled(this.keys, this.token));
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
