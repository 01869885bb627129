import type { SealedEntry } from '../codec/index.js';
import { companionKeyOf } from '../keys/index.js';
import { HOLD_OFF, leaseCommandsOf, STAGE, STAGE_SHA } from './lease-scripts.js';
import { inOneWrite, isCluster, type RedisClient } from './redis-client.js';
import { outageReason } from './reply-errors.js';
import { putPendingStamps, type PendingStamp } from './stamp-writes.js';
import { transact } from './transaction.js';
import { isLine, sendTogether, type Command, type Line, type ReplyListener } from './wire-command.js';

/** The names of an entry: its value, the lease to load it, and the place where a loaded value waits to be moved in. */
export interface EntryKeys {
  readonly valueKey: string;
  readonly leaseKey: string;
  readonly fillKey: string;
}

/** Invalidations that Redis has not acknowledged. */
export interface PendingInvalidations {
  readonly entries: readonly EntryKeys[];
  /** New stamps by the full names of their keys. */
  readonly stamps: ReadonlyMap<string, PendingStamp>;
}

/** A transaction holds the server up while it runs: so many entries at once. */
const ENTRIES_PER_TRANSACTION = 250;

/**
 * Stores a value and ends whatever load is under way for it. In two commands, the lease first: a load that takes a new one
 * between them has begun after this change, and may be stored after it. Where they could be torn apart, or two values must
 * change at once, it is one transaction.
 */
export function putEntry(
  client: RedisClient,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  { bytes, companion }: SealedEntry,
  lifeMs: number,
): Promise<unknown> {
  if (companion === undefined && isLine(client)) {
    return new Promise((resolve, reject) =>
      putOnLine(client, { valueKey, leaseKey, fillKey }, bytes, lifeMs, { onReply: resolve, onFailure: reject }),
    );
  }
  const commands: Command[] = [
    ['del', leaseKey, fillKey],
    ['set', valueKey, bytes, 'PX', lifeMs],
  ];
  if (companion !== undefined) {
    commands.push(['set', companionKeyOf(valueKey), companion, 'PX', lifeMs]);
  }
  return transact(client, commands);
}

/** As {@link putEntry}, for a listener. */
export function putOnLine(
  line: Line,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  bytes: Buffer,
  lifeMs: number,
  listener: ReplyListener,
): void {
  const commands: Command[] = [
    ['del', leaseKey, fillKey],
    ['set', valueKey, bytes, 'PX', lifeMs],
  ];
  sendTogether(line, commands, ([ended, put]) => {
    const failure = ended instanceof Error ? ended : put;
    if (failure instanceof Error) {
      listener.onFailure(failure);
    } else {
      listener.onReply(put);
    }
  });
}

/** Stores what was loaded under a lease. @returns false if the lease is no longer ours */
export async function fillEntry(
  client: RedisClient,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  token: string,
  { bytes, companion }: SealedEntry,
  lifeMs: number,
): Promise<boolean> {
  const commands = leaseCommandsOf(client);
  const [staging, moving] = inOneWrite(client, () => [
    companion === undefined
      ? commands.ndcStage(leaseKey, fillKey, token, bytes, lifeMs)
      : commands.ndcStageBoth(leaseKey, fillKey, companionKeyOf(valueKey), token, bytes, lifeMs, companion),
    client.rename(fillKey, valueKey),
  ]);
  const [staged, moved] = await Promise.all([
    staging,
    moving.then(
      () => true,
      (error: Error) => {
        if (isMissing(error)) {
          return false;
        }
        throw error;
      },
    ),
  ]);
  return staged === 1 && moved;
}

/** As {@link fillEntry}, for a listener. */
export function fillOnLine(
  line: Line,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  token: string,
  bytes: Buffer,
  lifeMs: number,
  listener: ReplyListener<boolean>,
): void {
  const moving: Command = ['rename', fillKey, valueKey];
  const told = ([staged, moved]: readonly unknown[]): void => {
    const isMoved = !(moved instanceof Error);
    const failure = staged instanceof Error ? staged : moved;
    if (failure instanceof Error && (failure === staged || !isMissing(failure))) {
      listener.onFailure(failure);
    } else {
      listener.onReply(staged === 1 && isMoved);
    }
  };
  sendTogether(line, [['evalsha', STAGE_SHA, 2, leaseKey, fillKey, token, bytes, lifeMs], moving], (outcomes) => {
    const [staged] = outcomes;
    if (staged instanceof Error && staged.message.startsWith('NOSCRIPT')) {
      sendTogether(line, [['eval', STAGE, 2, leaseKey, fillKey, token, bytes, lifeMs], moving], told);
    } else {
      told(outcomes);
    }
  });
}

/** There was nothing to move. */
function isMissing(error: Error): boolean {
  return error.message.includes('no such key');
}

/** Replaces an entry if it is still the one that was read, and ends whatever load is under way for it, in one step. */
export async function replaceEntry(
  client: RedisClient,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  before: Buffer,
  after: Buffer,
  lifeMs: number,
): Promise<void> {
  await leaseCommandsOf(client).ndcReplace(valueKey, leaseKey, fillKey, before, after, lifeMs);
}

/**
 * Deletes entries and ends whatever loads are under way for them, each in one step, in a cluster one transaction per entry.
 * @param holdOffMs refuses the fills of loads that begin within this time, too
 * @returns for each entry, in order, whether there was a value
 */
export async function dropEntries(
  client: RedisClient,
  entries: readonly EntryKeys[],
  holdOffMs?: number,
): Promise<boolean[]> {
  const perTransaction = isCluster(client) ? 1 : ENTRIES_PER_TRANSACTION;
  const parts: Promise<boolean[]>[] = [];
  for (let from = 0; from < entries.length; from += perTransaction) {
    const part = entries.slice(from, from + perTransaction);
    const values = part.map(({ valueKey }) => valueKey);
    const others = part.flatMap(({ leaseKey, fillKey }) => [leaseKey, fillKey]);
    const held = holdOffMs === undefined ? [] : part.map(({ leaseKey }) => leaseKey);
    parts.push(dropAtOnce(client, values, others, held, holdOffMs));
  }
  return (await Promise.all(parts)).flat();
}

async function dropAtOnce(
  client: RedisClient,
  values: string[],
  others: string[],
  heldLeases: string[],
  holdOffMs = 0,
): Promise<boolean[]> {
  try {
    const answers = await transact(client, [
      ...values.map((key): Command => ['unlink', key]), // one command per value: UNLINK of several answers with a sum
      ['del', ...others],
      ...heldLeases.map((key): Command => ['set', key, HOLD_OFF, 'PX', Math.max(1, Math.ceil(holdOffMs))]),
    ]);
    return values.map((_key, index) => Number(answers[index]) > 0);
  } catch (error) {
    if (outageReason(error) !== 'OOM') {
      throw error;
    }
    // A full Redis deletes, but not in a transaction: queueing takes memory.
    const keys = [...values, ...others];
    const removed = await leaseCommandsOf(client).ndcDrop(keys.length, ...keys, values.length);
    return removed.map((count) => count > 0);
  }
}

/** Sends what is pending, on a connection that need not be trusted yet. Rejects with the first failure; twice does no harm. */
export async function replayInvalidations(
  client: RedisClient,
  { entries, stamps }: PendingInvalidations,
): Promise<void> {
  await Promise.all([dropEntries(client, entries), putPendingStamps(client, stamps)]);
}
