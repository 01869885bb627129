import { TierReplyError } from '../errors/index.js';
import type { EntryKeys } from './entry-writes.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisClient } from './redis-client.js';
import { toTierError } from './reply-errors.js';
import { sendTogether, type Line, type ReplyListener } from './wire-command.js';

export interface Taken {
  /** The token of whoever has the lease now, as far as Redis says. */
  readonly owner: string | undefined;
  /** Of the value, if there is one. */
  readonly bytes: Buffer | null;
  /** Why Redis gives no lease: it is full, a replica, or forbids it. It may have the value all the same. */
  readonly refusal: TierReplyError | undefined;
}

/** Takes a lease, if nobody has it, and reads the value, in one step. */
export async function takeLease(
  client: RedisClient,
  { valueKey, leaseKey }: EntryKeys,
  token: string,
  leaseMs: number,
): Promise<Taken> {
  let refusal: TierReplyError;
  try {
    const [owner, bytes] = await leaseCommandsOf(client).ndcTakeBuffer(valueKey, leaseKey, token, leaseMs);
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
 * good as in one step: what comes between is a change that ends the lease, or the fill of whoever had it.
 */
export function takeOnLine(
  line: Line,
  { valueKey, leaseKey }: EntryKeys,
  token: string,
  leaseMs: number,
  listener: ReplyListener<Taken>,
): void {
  sendTogether(
    line,
    [
      ['set', leaseKey, token, 'PX', leaseMs, 'NX'],
      ['get', leaseKey],
      ['get', valueKey],
    ],
    (outcomes) => {
      try {
        listener.onReply(takenOf(outcomes));
      } catch (error) {
        listener.onFailure(error as Error);
      }
    },
  );
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

/** @throws what is no refusal, but a fault */
function refusalOf(error: unknown): TierReplyError {
  const tierError = toTierError('TAKE', error, 0);
  if (tierError instanceof TierReplyError) {
    return tierError;
  }
  throw error;
}
