import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from '../keys/index.js';
import type { RedisTier } from '../redis/index.js';

/**
 * The right to load one key for the whole cluster. It is renewed while its loader runs, so a slow loader does not lose
 * it.
 */
export class Lease {
  /** Its present term: how long it lasts since it was taken or last renewed, in milliseconds. */
  leaseMs: number;
  /** The bytes of the value when the lease was taken; kept only where a doubted load compares them. */
  seen: Buffer | null = null;
  private renewedAtMs = 0;
  private load: RenewedLoad | undefined;

  constructor(
    private readonly tier: RedisTier,
    readonly keys: EntryKeys,
    readonly token: string,
    private readonly term: LeaseTerm,
    private readonly pending: PendingReleases,
  ) {
    this.leaseMs = term.currentMs;
  }

  /**
   * Renews the lease from now on, each third of its term, until {@link stopRenewing}. A failed renewal is repeated at
   * the next interval. It is released once its load is outlived.
   */
  startRenewing(load: RenewedLoad): void {
    this.load = load;
    this.renewedAtMs = performance.now();
    this.term.add(this);
  }

  stopRenewing(): void {
    this.term.delete(this);
  }

  /** Renews the lease if a third of its term is over. */
  renewIfDue(nowMs: number): void {
    if (nowMs - this.renewedAtMs < this.leaseMs / 3) {
      return;
    }
    if (this.load?.isOutlived === true) {
      void this.release();
      return;
    }
    this.renewedAtMs = nowMs;
    this.leaseMs = this.term.currentMs; // the process may hold more leases now
    this.tier.renew(this.keys, this.token, this.leaseMs).then(
      (isOurs) => isOurs || this.stopRenewing(),
      () => {},
    );
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

/** The load of a renewed lease. */
interface RenewedLoad {
  /** Whether the loader runs too long to hold the lease. */
  readonly isOutlived: boolean;
}

/** With every thousand leases that a process holds, a new lease lasts one more basic term, up to {@link MAX_TERMS}. */
const LEASES_PER_TERM = 1000;
const MAX_TERMS = 20;

/**
 * The leases of one process whose loaders run: decides how long they last, and has them renewed, all by one timer. A
 * process that holds thousands of them at once (a large batch load) takes them for longer, because to renew each of them
 * twice a second would cost more than the load itself. If such a process dies, others wait that much longer.
 */
export class LeaseTerm {
  private readonly held = new Set<Lease>();
  private timer: NodeJS.Timeout | undefined;

  /** @param leaseMs the term of a lease in a process that holds few, in milliseconds */
  constructor(private readonly leaseMs: number) {}

  get currentMs(): number {
    return this.leaseMs * Math.min(MAX_TERMS, 1 + Math.floor(this.held.size / LEASES_PER_TERM));
  }

  add(lease: Lease): void {
    this.held.add(lease);
    this.timer ??= setInterval(() => this.renewDue(), this.leaseMs / 12).unref();
  }

  delete(lease: Lease): void {
    this.held.delete(lease);
  }

  /** The timer ends when it finds nothing to do: as a rule the next lease comes before that. */
  private renewDue(): void {
    if (this.held.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    const nowMs = performance.now();
    this.held.forEach((lease) => lease.renewIfDue(nowMs));
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
