import type { EntryKeys } from './entry-writes.js';
import { leaseCommandsOf } from './lease-scripts.js';
import type { RedisClient } from './redis-client.js';
import { sendTogether, type Line, type ReplyListener } from './wire-command.js';

/** The token of whoever has the lease now, and the bytes of the value, if there is one. */
export interface Taken {
  readonly owner: string;
  readonly bytes: Buffer | null;
}

/** Takes a lease, if nobody has it, and reads the value, in one step. */
export async function takeLease(
  client: RedisClient,
  { valueKey, leaseKey }: EntryKeys,
  token: string,
  leaseMs: number,
): Promise<Taken> {
  const [owner, bytes] = await leaseCommandsOf(client).ndcTakeBuffer(valueKey, leaseKey, token, leaseMs);
  return { owner: String(owner), bytes };
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
      const failure = outcomes.find((outcome) => outcome instanceof Error);
      const [, owner, bytes] = outcomes as [unknown, Buffer | null, Buffer | null];
      if (failure === undefined) {
        listener.onReply({ owner: String(owner), bytes });
      } else {
        listener.onFailure(failure);
      }
    },
  );
}
