import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from '../keys/index.js';
import type { RedisTier } from '../redis/index.js';

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
    private readonly pending: PendingReleases,
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

  /** Releases a lease under which no loader has run. If Redis can't be asked, it is sent again later. Never rejects. */
  release(): Promise<void> {
    return this.sendRelease(() => this.tier.release(this.keys, this.token));
  }

  /**
   * Releases the lease after a load that ended without a value to store: the processes that waited for it load at once.
   * Never rejects.
   */
  releaseUnfilled(): Promise<void> {
    return this.sendRelease(() => this.tier.releaseUnfilled(this.keys, this.token));
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

  private async sendRelease(send: () => Promise<void>): Promise<void> {
    this.stopRenewing();
    try {
      await send();
    } catch (error) {
      if (!(error instanceof TierReplyError)) {
        this.pending.add(this); // a command that was refused would be refused again
      }
    }
  }
}

/** With every thousand leases that a process holds, a new lease lasts one more basic term, up to {@link MAX_TERMS}. */
const LEASES_PER_TERM = 1000;
const MAX_TERMS = 20;

/**
 * Decides how long the leases of one process last unless they are renewed. A process that holds thousands of them at
 * once (a large batch load) takes them for longer, because to renew each of them twice a second would cost more than
 * the load itself. If such a process dies, others wait that much longer.
 */
export class LeaseTerm {
  /** Number of leases whose loaders run in this process. */
  held = 0;

  /** @param leaseMs the term of a lease in a process that holds few, in milliseconds */
  constructor(private readonly leaseMs: number) {}

  get currentMs(): number {
    return this.leaseMs * Math.min(MAX_TERMS, 1 + Math.floor(this.held / LEASES_PER_TERM));
  }
}

/** A lease whose release Redis has not acknowledged. */
interface PendingRelease {
  /** Sends the release again. Never rejects. */
  release(): Promise<void>;
}

/** Maximum number of leases; the others end with their TTL. */
const MAX_LEASES = 1000;

/**
 * Leases that were released while Redis could not be asked. Until such a lease ends, other processes wait for a load
 * that does not run. The release is sent again when Redis can be asked. Nothing else depends on it: the values under
 * these keys are as valid as before.
 */
export class PendingReleases {
  private leases: PendingRelease[] = [];

  add(lease: PendingRelease): void {
    if (this.leases.length < MAX_LEASES) {
      this.leases.push(lease);
    }
  }

  /** Sends the releases again, when Redis may be back. A lease whose release fails is added anew. */
  release(): void {
    const { leases } = this;
    if (leases.length > 0) {
      this.leases = [];
      for (const lease of leases) {
        void lease.release();
      }
    }
  }
}
