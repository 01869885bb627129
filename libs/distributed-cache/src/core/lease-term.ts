/** With each thousand leases that a process holds, a lease lasts this much of its term longer. */
const LEASES_PER_TERM = 1000;
const MOST_TERMS = 20;

/**
 * How long the leases of one process last unless they are renewed. A process that holds thousands of them at once (a large batch load) takes
 * them for longer: renewing each of them twice a second would cost more than the load itself. If it dies, others wait as much longer.
 */
export class LeaseTerm {
  /** Leases whose loaders run in this process. */
  held = 0;

  /** @param leaseMs the term of a process that holds few leases */
  constructor(private readonly leaseMs: number) {}

  get currentMs(): number {
    return this.leaseMs * Math.min(MOST_TERMS, 1 + Math.floor(this.held / LEASES_PER_TERM));
  }
}
