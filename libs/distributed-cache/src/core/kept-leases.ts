interface Kept {
  /** Tries again. Never rejects. */
  release(): Promise<void>;
}

/** Maximum number of leases; the others end with their TTL. */
const MOST_LEASES = 1000;

/**
 * Leases that were released while Redis could not be asked. Until such a lease ends, other processes wait for a load
 * that does not run. The release is sent again when Redis can be asked. Nothing else depends on it: the values under
 * these keys are as valid as before.
 */
export class KeptLeases {
  private leases: Kept[] = [];

  add(lease: Kept): void {
    if (this.leases.length < MOST_LEASES) {
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
