import type { EntryKeys } from './entry-keys.js';
import { leasesOf, withFormerNames } from './former-names.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisConnection } from './redis-connection.js';

interface Renewal {
  readonly keys: EntryKeys;
  readonly token: string;
  readonly leaseMs: number;
  readonly resolve: (isOurs: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Maximum number of leases in one script: the server executes nothing else while it runs. */
const LEASES_PER_SCRIPT = 250;

/**
 * Renews leases; those that are due in one turn of the event loop are renewed together. A batch load holds thousands,
 * and one command each would cost more than the load. A cluster refuses scripts over several slots, so there each lease
 * has a command of its own.
 */
export class LeaseRenewals {
  private due: Renewal[] = [];

  constructor(private readonly connection: RedisConnection) {}

  /** Renews one lease. @returns whether this process still holds the lease. @throws as `RedisConnection.run` */
  renew(keys: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.due.push({ keys, token, leaseMs, resolve, reject });
      if (this.due.length === 1) {
        setImmediate(() => this.send());
      }
    });
  }

  private send(): void {
    const { due } = this;
    this.due = [];
    const perScript = this.connection.isCluster ? 1 : LEASES_PER_SCRIPT;
    const byDuration = new Map<number, Renewal[]>();
    for (const renewal of due) {
      const together = byDuration.get(renewal.leaseMs);
      if (together === undefined || together.length === perScript) {
        byDuration.set(renewal.leaseMs, [renewal]);
        if (together !== undefined) {
          void this.renewTogether(together);
        }
      } else {
        together.push(renewal);
      }
    }
    byDuration.forEach((together) => void this.renewTogether(together));
  }

  private async renewTogether(renewals: readonly Renewal[]): Promise<void> {
    const [first] = renewals;
    try {
      const areOurs = await this.connection.run(
        'RENEW',
        (client) =>
          withFormerNames(client, (withFormer) => {
            const leases = renewals.map(({ keys }) => leasesOf(keys, withFormer));
            const names = leases.flat();
            const tokens = renewals.map(({ token }) => token);
            return leaseCommandsOf(client).ndcRenew(
              names.length,
              ...names,
              first?.leaseMs ?? 0,
              leases[0]?.length ?? 1,
              ...tokens,
            );
          }),
        first?.keys.leaseKey,
        { isUrgent: true },
      );
      renewals.forEach(({ resolve }, index) => resolve(areOurs[index] === 1));
    } catch (error) {
      renewals.forEach(({ reject }) => reject(error));
    }
  }
}
