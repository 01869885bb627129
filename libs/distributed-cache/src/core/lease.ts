import type { EntryKeys, RedisTier } from '../redis/index.js';

/** The right to load one key for the whole cluster. Renewed while its loader runs, so that no loader is too slow for it. */
export class Lease {
  private renewal: NodeJS.Timeout | undefined;

  constructor(
    private readonly tier: RedisTier,
    private readonly keys: EntryKeys,
    readonly token: string,
    private readonly leaseMs: number,
    /** Redis could not be told that the lease is given back: until it ends, others would wait for nobody. */
    private readonly onKept: () => void,
  ) {}

  /** Renews it from now on, at a third of its time, until {@link stopRenewing}. A failed renewal is tried again at the next. */
  startRenewing(): void {
    this.renewal = setInterval(() => {
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

  /** Gives it back without having stored anything, so that the next in line may load. Never rejects. */
  async release(): Promise<void> {
    this.stopRenewing();
    await this.tier.release(this.keys, this.token).catch(() => this.onKept());
  }
}
