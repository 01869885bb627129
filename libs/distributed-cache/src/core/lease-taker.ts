import { randomUUID } from 'node:crypto';
import { TierUnavailableError } from '../errors/index.js';
import type { KeyLayout } from '../keys/index.js';
import type { RedisTier } from '../redis/index.js';
import type { RedisRuntime } from './cache-runtime.js';
import type { EntryJudge } from './entry-judge.js';
import { Lease } from './lease.js';
import { UNREACHABLE, type TakeOutcome } from './remote-contract.js';
import type { RemoteFaults } from './remote-faults.js';
import type { StampBook } from './stamp-book.js';

/** Takes the leases of one namespace; a part of `RemoteView`. As there, no method throws. */
export class LeaseTaker {
  constructor(
    private readonly redis: RedisRuntime,
    private readonly tier: RedisTier,
    private readonly layout: KeyLayout,
    private readonly stamp: StampBook,
    private readonly judge: EntryJudge,
    private readonly faults: RemoteFaults,
  ) {}

  /**
   * Tries to take the lease of this key, and reads the entry with it.
   * @param isFirstLook the key has not been read before in this load, so an unreadable entry is reported here
   */
  async take(key: string, isFirstLook: boolean): Promise<TakeOutcome> {
    const keys = this.layout.entryKeys(key);
    const { leaseTerm, keptLeases } = this.redis;
    const lease = new Lease(this.tier, keys, randomUUID(), leaseTerm, keptLeases);
    const wasToBeForgotten = this.judge.isToBeForgotten(key);
    let isAsked = false;
    try {
      const stamp = this.stamp.held ?? (await this.stamp.current());
      isAsked = true;
      const { isTaken, owner, isHeldOff, entry, refusal } = await this.tier.take(keys, lease.token, lease.leaseMs);
      if (refusal !== undefined) {
        this.faults.report('get', refusal);
      }
      const isUnreadable = entry instanceof Error;
      if (isUnreadable && isFirstLook) {
        this.faults.report('get', entry);
      }
      return {
        lookup: await this.judge.judge(key, isUnreadable ? undefined : entry, stamp, wasToBeForgotten),
        lease: isTaken ? lease : undefined,
        owner,
        isHeldOff,
        isRefused: refusal !== undefined,
      };
    } catch (error) {
      if (isAsked && !isUnsent(error)) {
        void lease.release(); // the lease may have been taken without an answer, and other processes would wait for no load
      }
      this.faults.report('get', error);
      return { lookup: UNREACHABLE, lease: undefined, owner: undefined, isHeldOff: false, isRefused: true };
    }
  }

  /**
   * Whether a load of this key has ended without a value to store a moment ago; `undefined` when Redis can't be asked.
   */
  async hasEndedUnfilled(key: string): Promise<boolean | undefined> {
    try {
      return await this.tier.hasEndedUnfilled(this.layout.entryKeys(key));
    } catch (error) {
      this.faults.report('get', error);
      return undefined;
    }
  }
}

/** Whether the command was not sent. Any other fault may occur after the command was sent. */
function isUnsent(error: unknown): boolean {
  return error instanceof TierUnavailableError && !error.wasSent;
}
