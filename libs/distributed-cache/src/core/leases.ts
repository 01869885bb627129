import { randomUUID } from 'node:crypto';
import { CorruptEntryError, TierUnavailableError } from '../errors/index.js';
import type { KeyLayout } from '../keys/index.js';
import { HOLD_OFF, type RedisEntry, type RedisTier } from '../redis/index.js';
import { Lease } from './lease.js';
import { type LeaseAttempt, type RemoteFaults, UNREACHABLE } from './remote-outcomes.js';
import type { EntryValidity } from './remote-reads.js';
import type { RedisRuntime } from './runtime.js';
import type { HeldStamp } from './stamps.js';

/** Acquires the leases of one namespace; a part of `RemoteTier`. No method throws. */
export class Leases {
  private readonly processId = randomUUID();
  private attempts = 0;

  constructor(
    private readonly redis: RedisRuntime,
    private readonly tier: RedisTier,
    private readonly layout: KeyLayout,
    private readonly stamp: HeldStamp,
    private readonly validity: EntryValidity,
    private readonly faults: RemoteFaults,
  ) {}

  /**
   * Tries to take the lease of this key, and reads the entry with it.
   * @param isFirstLook the key has not been read before in this load, so an unreadable entry is reported here
   */
  async acquire(key: string, isFirstLook: boolean): Promise<LeaseAttempt> {
    const { leaseTerm, pendingReleases, connection } = this.redis;
    const keys = this.layout.entryKeys(key);
    const token = `${this.processId}:${++this.attempts}`;
    const lease = new Lease(this.tier, keys, token, leaseTerm, pendingReleases);
    const wasJournalled = this.validity.isJournalled(key);
    let isAsked = false;
    try {
      const stamp = this.stamp.held ?? (await this.stamp.current());
      const askedAtMs = connection.deadlineClock.nowMs();
      isAsked = true;
      const { owner, bytes, refusal } = await this.tier.take(keys, token, lease.leaseMs);
      if (refusal !== undefined) {
        this.faults.report('get', refusal);
      }
      const entry = bytes === null ? undefined : await this.readable(keys.valueKey, bytes, askedAtMs, isFirstLook);
      const checking = this.validity.lookupOf(key, entry, stamp, wasJournalled);
      return {
        lookup: checking instanceof Promise ? await checking : checking,
        lease: owner === token ? lease : undefined,
        owner,
        isHeldOff: owner === HOLD_OFF,
        isRefused: refusal !== undefined,
      };
    } catch (error) {
      if (isAsked && !isUnsent(error)) {
        // The lease may have been taken without an answer. Other processes would then wait for a load that does not run.
        void lease.release();
      }
      this.faults.report('get', error);
      return { lookup: UNREACHABLE, lease: undefined, owner: undefined, isHeldOff: false, isRefused: true };
    }
  }

  /** Whether a load of this key has ended without a value to store a moment ago; `undefined` when Redis can't be asked. */
  async hasEndedUnfilled(key: string): Promise<boolean | undefined> {
    try {
      return await this.tier.hasEndedUnfilled(this.layout.entryKeys(key));
    } catch (error) {
      this.faults.report('get', error);
      return undefined;
    }
  }

  /** The entry in these bytes; one that can't be read is a miss, and no reason to release the lease. */
  private async readable(
    valueKey: string,
    bytes: Buffer,
    askedAtMs: number,
    isFirstLook: boolean,
  ): Promise<RedisEntry | undefined> {
    try {
      return await this.tier.entryIn(valueKey, bytes, askedAtMs);
    } catch (error) {
      if (!(error instanceof CorruptEntryError)) {
        throw error;
      }
      if (isFirstLook) {
        this.faults.report('get', error);
      }
      return undefined;
    }
  }
}

/** Whether the command was not sent. Any other fault may occur after the command was sent. */
function isUnsent(error: unknown): boolean {
  return error instanceof TierUnavailableError && !error.wasSent;
}
