/** With every thousand leases that a process holds, a new lease lasts one more basic term, up to {@link MOST_TERMS}. */
const LEASES_PER_TERM = 1000;
const MOST_TERMS = 20;

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
    return this.leaseMs * Math.min(MOST_TERMS, 1 + Math.floor(this.held / LEASES_PER_TERM));
  }
}
