import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from './entry-keys.js';
import { leasesOf, withFormerNames } from './former-names.js';
import { LeaseRenewals } from './lease-renewals.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisConnection } from './redis-connection.js';
import { takeLease, takeOnLine, type Taken } from './take-lease.js';

/** Goes before what begins new work. */
const ENDS_WORK = { isUrgent: true };

/**
 * The leases of one Redis. Taking one needs no script, storing under it and giving it back do: where scripts are forbidden, a lease
 * that was taken would only be in the way. So once one is refused, leases are taken by script until one succeeds.
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
        this.release(keys, token).catch(() => {}); // it ends with its time
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

  /** @returns whether the lease is still ours */
  renew(keys: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    return this.learnFrom(this.renewals.renew(keys, token, leaseMs));
  }

  /** Gives a lease of ours back; one that is not ours is left alone. */
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

  /** @param running what needs a script */
  learnFrom<Result>(running: Promise<Result>): Promise<Result> {
    return running.catch((error: unknown) => {
      if (error instanceof TierReplyError && (error.reply === 'NOPERM' || error.reply === 'ERR')) {
        this.mayRunScripts = false;
      }
      throw error;
    });
  }
}
