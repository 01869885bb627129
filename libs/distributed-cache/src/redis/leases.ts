import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from './entry-keys.js';
import { leasesOf, withFormerNames } from './former-names.js';
import { LeaseRenewals } from './lease-renewals.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisConnection } from './redis-connection.js';
import { takeLease, takeOnLine, type Taken } from './take-lease.js';

/** Commands that end work under way are sent before commands that begin new work. */
const ENDS_WORK = { isUrgent: true };

/**
 * Takes, renews and releases the leases of one Redis. To take a lease needs no script, but to store under it and to
 * release it do: when scripts are forbidden, a lease that was taken would only block other loads. So after a script was
 * refused, leases are taken by script until one succeeds.
 */
export class Leases {
  private mayRunScripts = true;
  private readonly renewals: LeaseRenewals;

  constructor(private readonly connection: RedisConnection) {
    this.renewals = new LeaseRenewals(connection);
  }

  async take(keys: EntryKeys, token: string, leaseMs: number): Promise<Taken> {
    const { line, exchange } = this.connection;
    if (line !== undefined && this.mayRunScripts && !this.connection.refusals.areScriptsRefused) {
      const onLine = await exchange.run<Taken>(line, 'TAKE', (to, listener) =>
        takeOnLine(to, keys, token, leaseMs, listener),
      );
      if (onLine.isHalf === true) {
        this.release(keys, token).catch(() => {}); // a lease that is not released ends with its TTL
      }
      return this.noted(onLine);
    }
    const taken = await this.connection.run('TAKE', (client) => takeLease(client, keys, token, leaseMs), keys.valueKey);
    this.mayRunScripts = taken.refusal === undefined;
    return this.noted(taken);
  }

  private noted(taken: Taken): Taken {
    const { refusals } = this.connection;
    if (taken.refusal !== undefined) {
      refusals.note(taken.refusal);
    } else if (refusals.areAny) {
      refusals.succeed('TAKE');
    }
    return taken;
  }

  /** Renews a lease. @returns whether this process still holds it */
  renew(keys: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    return this.learnFrom(this.renewals.renew(keys, token, leaseMs));
  }

  /** Releases a lease of this process; a lease of another process is left alone. */
  async release(keys: EntryKeys, token: string): Promise<void> {
    const releasing = this.connection.run(
      'RELEASE',
      (client) =>
        withFormerNames(client, (withFormer) => {
          const leases = leasesOf(keys, withFormer);
          return leaseCommandsOf(client).ndcRelease(leases.length, ...leases, token);
        }),
      keys.leaseKey,
      ENDS_WORK,
    );
    await this.learnFrom(releasing);
  }

  /** Records whether scripts are refused. @param running an operation that needs a script */
  learnFrom<Result>(running: Promise<Result>): Promise<Result> {
    return running.catch((error: unknown) => {
      if (error instanceof TierReplyError && (error.reply === 'NOPERM' || error.reply === 'ERR')) {
        this.mayRunScripts = false;
      }
      throw error;
    });
  }
}
