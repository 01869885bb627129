import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from './entry-keys.js';
import { leasesOf, usesFormerNames, withFormerNames } from './former-names.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisClient } from './redis-client.js';
import { outageReason, toTierError } from './reply-errors.js';
import { sendTogether, type Command, type Line, type ReplyListener } from './wire-command.js';

export interface Taken {
  /** The token of the present owner of the lease, as far as Redis says. */
  readonly owner: string | undefined;
  /** The bytes of the value; `null` when there is none. */
  readonly bytes: Buffer | null;
  /** Why Redis gives no lease: it is full, a replica, or forbids it. The value may be there all the same. */
  readonly refusal: TierReplyError | undefined;
  /** Whether this process holds only one of the two leases; that one is to be released. */
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
    client.get(leaseKey).catch(() => null), // the user may lack the right to the key of the lease
  ]);
  return { owner: owner ?? undefined, bytes, refusal };
}

/**
 * Takes a lease, as {@link takeLease} does, without a script, and reports the outcome to a listener. A script would
 * cost the server more than everything else. To read the value after the lease is as safe as in one step: a change in
 * between ends the lease, or is the fill of its owner.
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

/**
 * Combines the outcomes of the lease and of the one under its former name. A former one that is refused is ignored, as
 * in `withFormerNames`.
 */
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

/** The refusal in an error of the client. @throws the error itself when it is not an error reply */
function refusalOf(error: unknown): TierReplyError {
  const tierError = toTierError('TAKE', error, 0);
  if (tierError instanceof TierReplyError) {
    return tierError;
  }
  throw error;
}
