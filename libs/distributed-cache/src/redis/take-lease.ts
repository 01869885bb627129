import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from './entry-keys.js';
import { leasesOf, usesFormerNames, withFormerNames } from './former-names.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisClient } from './redis-client.js';
import { outageReason, toTierError } from './reply-errors.js';
import { sendTogether, type Command, type Line, type ReplyListener } from './wire-command.js';

export interface Taken {
  /** The token of the owner of the lease now, as far as Redis says. */
  readonly owner: string | undefined;
  /** Of the value, if there is one. */
  readonly bytes: Buffer | null;
  /** Why Redis gives no lease: it is full, a replica, or forbids it. It may have the value all the same. */
  readonly refusal: TierReplyError | undefined;
  /** One of two leases is ours, the other is not: it is to be given back. */
  readonly isHalf?: boolean;
}

/** Takes a lease, if it is free, and reads the value, in one step. */
export async function takeLease(client: RedisClient, keys: EntryKeys, token: string, leaseMs: number): Promise<Taken> {
  const { valueKey, leaseKey } = keys;
  let refusal: TierReplyError;
  try {
    const [owner, bytes] = await withFormerNames(client, (withFormer) => {
      const names = [valueKey, ...leasesOf(keys, withFormer)];
      return leaseCommandsOf(client).ndcTakeBuffer(names.length, ...names, token, leaseMs);
    });
    return { owner: String(owner), bytes, refusal: undefined };
  } catch (error) {
    refusal = refusalOf(error);
  }
  const [bytes, owner] = await Promise.all([
    client.getBuffer(valueKey),
    client.get(leaseKey).catch(() => null), // perhaps it is the key of the lease that may not be touched
  ]);
  return { owner: owner ?? undefined, bytes, refusal };
}

/**
 * As {@link takeLease}, for a listener, without a script, which would cost the server more than all else. Reading after the lease is as
 * good as in one step: what comes between is a change that ends the lease, or the fill of its owner.
 */
export function takeOnLine(
  line: Line,
  keys: EntryKeys,
  token: string,
  leaseMs: number,
  listener: ReplyListener<Taken>,
): void {
  const leases = leasesOf(keys, usesFormerNames(line));
  const commands: Command[] = leases.map((lease) => ['set', lease, token, 'PX', leaseMs, 'NX']);
  commands.push(...leases.map((lease): Command => ['get', lease]), ['get', keys.valueKey]);
  sendTogether(line, commands, (outcomes) => {
    try {
      listener.onReply(leases.length === 1 ? takenOf(outcomes) : takenOfBoth(outcomes, token));
    } catch (error) {
      listener.onFailure(error as Error);
    }
  });
}

function takenOf([taking, owner, bytes]: readonly unknown[]): Taken {
  const refusal = taking instanceof Error ? refusalOf(taking) : undefined;
  for (const outcome of refusal === undefined ? [owner, bytes] : [bytes]) {
    if (outcome instanceof Error) {
      throw outcome;
    }
  }
  const token = owner instanceof Error ? null : (owner as Buffer | string | null);
  return { owner: token?.toString(), bytes: bytes as Buffer | null, refusal };
}

/** Of the lease and the one under its former name. A former one that is refused is done without, as `withFormerNames` does. */
function takenOfBoth([taking, takingFormer, owner, formerOwner, bytes]: readonly unknown[], token: string): Taken {
  const taken = takenOf([taking, owner, bytes]);
  if (taken.refusal !== undefined || isNoPermission(takingFormer)) {
    return taken;
  }
  const former = takenOf([takingFormer, formerOwner, bytes]);
  const isOurs = taken.owner === token;
  if (isOurs === (former.owner === token)) {
    return isOurs ? former : taken;
  }
  return { ...(isOurs ? former : taken), isHalf: true };
}

function isNoPermission(outcome: unknown): boolean {
  return outcome instanceof Error && outageReason(outcome) === 'NOPERM';
}

/** @throws what is no refusal, but a fault */
function refusalOf(error: unknown): TierReplyError {
  const tierError = toTierError('TAKE', error, 0);
  if (tierError instanceof TierReplyError) {
    return tierError;
  }
  throw error;
}
