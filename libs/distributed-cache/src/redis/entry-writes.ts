import type { SealedEntry } from '../codec/index.js';
import type { EntryKeys } from './entry-keys.js';
import { companionsOf, leasesOf, loadNamesOf, usesFormerNames, withFormerNames } from './former-names.js';
import { HOLD_OFF, leaseCommandsOf, STAGE, STAGE_SHA } from './lease-scripts.js';
import { inOneWrite, isCluster, type RedisClient } from './redis-client.js';
import { isRefusal, outageReason, refusedCommand } from './reply-errors.js';
import { putPendingStamps, type PendingStamp } from './stamp-writes.js';
import { transact } from './transaction.js';
import { isLine, sendTogether, type Command, type Line, type ReplyListener } from './wire-command.js';

/** Invalidations that Redis has not acknowledged. */
export interface PendingInvalidations {
  readonly entries: readonly EntryKeys[];
  /** New stamps by the full names of their keys. */
  readonly stamps: ReadonlyMap<string, PendingStamp>;
}

/** Maximum number of entries in one transaction: the server executes nothing else while it runs. */
const ENTRIES_PER_TRANSACTION = 250;

/**
 * Stores a value and ends any load that is under way for it. It takes two commands, the lease first: a load that takes
 * a new lease between them has begun after this change, and may be stored after it. It is one transaction when the two
 * commands could be separated, or when two values must change at once.
 */
export function putEntry(
  client: RedisClient,
  keys: EntryKeys,
  { bytes, companion }: SealedEntry,
  lifeMs: number,
): Promise<unknown> {
  if (companion === undefined && isLine(client)) {
    return new Promise((resolve, reject) =>
      putOnLine(client, keys, bytes, lifeMs, { onReply: resolve, onFailure: reject }),
    );
  }
  const { valueKey } = keys;
  return withFormerNames(client, (withFormer) => {
    const commands: Command[] = [
      ['del', ...loadNamesOf(keys, withFormer)],
      ['set', valueKey, bytes, 'PX', lifeMs],
    ];
    if (companion !== undefined) {
      companionsOf(valueKey, withFormer).forEach((key) => commands.push(['set', key, companion, 'PX', lifeMs]));
    }
    return transact(client, commands);
  });
}

/** Stores a value on a line, as {@link putEntry} does, and reports the outcome to a listener. */
export function putOnLine(
  line: Line,
  keys: EntryKeys,
  bytes: Buffer,
  lifeMs: number,
  listener: ReplyListener,
  withFormer = usesFormerNames(line),
): void {
  const commands: Command[] = [
    ['del', ...loadNamesOf(keys, withFormer)],
    ['set', keys.valueKey, bytes, 'PX', lifeMs],
  ];
  sendTogether(line, commands, ([ended, put]) => {
    const failure = ended instanceof Error ? ended : put;
    if (!(failure instanceof Error)) {
      listener.onReply(put);
    } else if (withFormer && outageReason(failure) === 'NOPERM') {
      putOnLine(line, keys, bytes, lifeMs, listener, false);
    } else {
      listener.onFailure(failure);
    }
  });
}

/** Stores a loaded value under a lease. @returns false if this process no longer holds the lease */
export async function fillEntry(
  client: RedisClient,
  keys: EntryKeys,
  token: string,
  { bytes, companion }: SealedEntry,
  lifeMs: number,
): Promise<boolean> {
  if (usesFormerNames(client)) {
    return withFormerNames(client, (withFormer) =>
      fillAtOnce(client, stagingOf(keys, token, { bytes, companion }, lifeMs, withFormer), keys),
    );
  }
  const { valueKey, fillKey } = keys;
  const [staging, moving] = inOneWrite(client, () => [
    leaseCommandsOf(client).ndcStage(...stagingOf(keys, token, { bytes, companion }, lifeMs, false)),
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

/** Stores a loaded value on a line, as {@link fillEntry} does, and reports the outcome to a listener. */
export function fillOnLine(
  line: Line,
  keys: EntryKeys,
  token: string,
  bytes: Buffer,
  lifeMs: number,
  listener: ReplyListener<boolean>,
): void {
  if (usesFormerNames(line)) {
    fillEntry(line, keys, token, { bytes }, lifeMs).then(
      (isFilled) => listener.onReply(isFilled),
      (error: Error) => listener.onFailure(error),
    );
    return;
  }
  const staging = stagingOf(keys, token, { bytes }, lifeMs, false);
  const moving: Command = ['rename', keys.fillKey, keys.valueKey];
  const told = ([staged, moved]: readonly unknown[]): void => {
    const isMoved = !(moved instanceof Error);
    const failure = staged instanceof Error ? staged : moved;
    if (failure instanceof Error && (failure === staged || !isMissing(failure))) {
      listener.onFailure(failure);
    } else {
      listener.onReply(staged === 1 && isMoved);
    }
  };
  sendTogether(line, [['evalsha', STAGE_SHA, ...staging], moving], (outcomes) => {
    const [staged] = outcomes;
    if (staged instanceof Error && isUnknownScript(staged)) {
      sendTogether(line, [['eval', STAGE, ...staging], moving], told);
    } else {
      told(outcomes);
    }
  });
}

type Staging = [numberOfKeys: number, ...keysAndArguments: (string | number | Buffer)[]];

/** The keys and arguments of {@link STAGE}. */
function stagingOf(
  keys: EntryKeys,
  token: string,
  { bytes, companion }: SealedEntry,
  lifeMs: number,
  withFormer: boolean,
): Staging {
  const leases = leasesOf(keys, withFormer);
  const names = [keys.fillKey, ...leases];
  if (companion === undefined) {
    return [names.length, ...names, token, bytes, lifeMs, leases.length];
  }
  names.push(...companionsOf(keys.valueKey, withFormer));
  return [names.length, ...names, token, bytes, lifeMs, leases.length, companion];
}

/** Stages a value and moves it to its place in one transaction. */
async function fillAtOnce(client: RedisClient, staging: Staging, { valueKey, fillKey }: EntryKeys): Promise<boolean> {
  const moving: Command = ['rename', fillKey, valueKey];
  try {
    const first: Command = isLine(client) ? ['evalsha', STAGE_SHA, ...staging] : ['eval', STAGE, ...staging];
    await transact(client, [first, moving]).catch((error: Error) => {
      if (!isUnknownScript(error)) {
        throw error;
      }
      return transact(client, [['eval', STAGE, ...staging], moving]);
    });
    return true;
  } catch (error) {
    if (error instanceof Error && isMissing(error)) {
      return false;
    }
    throw error;
  }
}

function isUnknownScript(error: Error): boolean {
  return error.message.startsWith('NOSCRIPT');
}

/** Whether RENAME failed because there is no staged value. */
function isMissing(error: Error): boolean {
  return error.message.includes('no such key');
}

/**
 * Replaces an entry if its bytes are still those that were read, and ends any load that is under way for it, in one
 * step.
 */
export async function replaceEntry(
  client: RedisClient,
  keys: EntryKeys,
  before: Buffer,
  after: Buffer,
  lifeMs: number,
): Promise<void> {
  await withFormerNames(client, (withFormer) => {
    const names = [keys.valueKey, ...loadNamesOf(keys, withFormer)];
    return leaseCommandsOf(client).ndcReplace(names.length, ...names, before, after, lifeMs);
  });
}

/**
 * Deletes entries and ends the loads under way for them, each in one step, in a cluster one transaction per entry.
 * @param holdOffMs also refuses the fills of loads that begin within this time, in milliseconds
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
    parts.push(
      withFormerNames(client, (withFormer) => {
        const others = part.flatMap((keys) => loadNamesOf(keys, withFormer));
        const held = holdOffMs === undefined ? [] : part.flatMap((keys) => leasesOf(keys, withFormer));
        return dropAtOnce(client, values, others, held, holdOffMs);
      }),
    );
  }
  return (await Promise.all(parts)).flat();
}

/** Clients whose user or server has no UNLINK: DEL does the same, and frees the memory at once. */
const clientsWithoutUnlink = new WeakSet<RedisClient>();

async function dropAtOnce(
  client: RedisClient,
  values: string[],
  others: string[],
  heldLeases: string[],
  holdOffMs = 0,
): Promise<boolean[]> {
  const remove = clientsWithoutUnlink.has(client) ? 'del' : 'unlink';
  try {
    const answers = await transact(client, [
      ['del', ...others], // first: without transactions, no fill may come in between
      ...values.map((key): Command => [remove, key]), // one command per value: UNLINK of several keys answers with a sum
      ...heldLeases.map((key): Command => ['set', key, HOLD_OFF, 'PX', Math.max(1, Math.ceil(holdOffMs))]),
    ]);
    return values.map((_key, index) => Number(answers[index + 1]) > 0);
  } catch (error) {
    if (
      remove === 'unlink' &&
      refusedCommand(error) === 'UNLINK' &&
      isRefusal(error) &&
      outageReason(error) !== 'OOM'
    ) {
      clientsWithoutUnlink.add(client);
      return dropAtOnce(client, values, others, heldLeases, holdOffMs);
    }
    if (outageReason(error) !== 'OOM') {
      throw error;
    }
    // A full Redis deletes, but not in a transaction: queueing its commands takes memory.
    const keys = [...values, ...others];
    const removed = await leaseCommandsOf(client).ndcDrop(keys.length, ...keys, values.length);
    return removed.map((count) => count > 0);
  }
}

/**
 * Sends pending invalidations, on a connection that need not be trusted yet. Rejects with the first failure; to send
 * them twice does no harm.
 */
export async function replayInvalidations(
  client: RedisClient,
  { entries, stamps }: PendingInvalidations,
): Promise<void> {
  await Promise.all([dropEntries(client, entries), putPendingStamps(client, stamps)]);
}
