interface Kept {
  /** Never rejects. */
  release(): Promise<void>;
}

/** What is more than this ends by itself. */
const MOST_LEASES = 1000;

/**
 * Leases that are given back and of which Redis could not be told: until they end, others wait for nobody. Redis is told of them when it
 * can be asked again. Nothing else is at stake: what lies under their keys is as good as before.
 */
export class KeptLeases {
  private leases: Kept[] = [];

  add(lease: Kept): void {
    if (this.leases.length < MOST_LEASES) {
      this.leases.push(lease);
    }
  }

  /** Redis may be there: who can't be told of now is added anew. */
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
