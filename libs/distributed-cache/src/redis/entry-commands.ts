import type { SealedEntry } from '../codec/index.js';
import { type EntryKeys, sidecarKeyOf } from '../keys/index.js';
import { isCluster, type RedisClient } from './redis-client.js';
import { isRefusal, outageReason, refusedCommand } from './client-errors.js';
import {
  isDirect,
  orElse,
  requireAll,
  requireDone,
  resultOf,
  runScript,
  scriptOf,
  type Command,
  type Outcomes,
  type Request,
  type ScriptArguments,
} from './send.js';
import { putPendingStamps, type PendingStamp } from './stamp-commands.js';

/*
 * A lease is the right to load one key for the whole cluster, and the only ticket (fencing token) with which a load's
 * result is stored (Nishtala et al., Scaling Memcache at Facebook, NSDI 2013, section 3.2.1). A `set` or a deletion
 * removes it, so a load that began before one can never overwrite it.
 *
 * As a rule no script changes a value. Redis notifies a client of every change but its own (NOLOOP), and a change by a
 * script does not count as its caller's: each fill would come back as a message that removes this process's own copy.
 * So a fill is two commands, sent together. STAGE stores the value under a second key if the token still holds the
 * lease; a plain RENAME moves it to its place. A `set` or a deletion that comes between them removes the staged value
 * as well, and the RENAME finds nothing to move.
 */

/**
 * The token of a lease that no load holds: a deletion with a hold-off has taken it, so that fills are refused for a
 * while.
 */
export const HOLD_OFF = 'hold-off';

/** Invalidations that Redis has not acknowledged. */
export interface PendingInvalidations {
  readonly entries: readonly EntryKeys[];
  /** New stamps by the full names of their keys. */
  readonly stamps: ReadonlyMap<string, PendingStamp>;
}

/**
 * Stores a value and ends any load that is under way for it. It takes two commands, the lease first: a load that takes
 * a new lease between them has begun after this change, and may be stored after it. It is one transaction when the two
 * commands could be separated, or when two values must change at once.
 */
export function put(
  client: RedisClient,
  keys: EntryKeys,
  { bytes, sidecar }: SealedEntry,
  lifeMs: number,
): Request<void> {
  const { valueKey, leaseKey, fillKey } = keys;
  const commands: Command[] = [
    ['del', leaseKey, fillKey],
    ['set', valueKey, bytes, 'PX', lifeMs],
  ];
  if (sidecar !== undefined) {
    commands.push(['set', sidecarKeyOf(valueKey), sidecar, 'PX', lifeMs]);
  }
  return { commands, atomic: sidecar !== undefined || !isDirect(client), resultOf: requireDone };
}

/**
 * KEYS fill, lease, perhaps the sidecar; ARGV token, bytes, life ms, perhaps the sidecar's bytes. Ends the lease;
 * returns whether the token held it and the value is staged. A sidecar names the text that it belongs to, so it needs
 * no staging.
 */
const STAGE = scriptOf(`
-- remedy: fill-needs-lease
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if KEYS[3] then redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[2])
return 1`);

/** Stores a loaded value under a lease. @returns false if this process no longer holds the lease */
export function fill(
  client: RedisClient,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  token: string,
  { bytes, sidecar }: SealedEntry,
  lifeMs: number,
): Request<boolean> {
  const args: ScriptArguments =
    sidecar === undefined
      ? [2, fillKey, leaseKey, token, bytes, lifeMs]
      : [3, fillKey, leaseKey, sidecarKeyOf(valueKey), token, bytes, lifeMs, sidecar];
  return runScript(client, STAGE, args, { resultOf: isFilled }, [['rename', fillKey, valueKey]]);
}

function isFilled([staged, moved]: Outcomes): boolean {
  const isMissing = moved instanceof Error && moved.message.includes('no such key'); // there was no staged value
  requireAll(isMissing ? [staged] : [staged, moved]);
  return staged === 1 && !isMissing;
}

/**
 * KEYS value, lease, fill; ARGV bytes before, bytes after, life ms. Replaces a value that has not changed; ends the load
 * under way.
 */
const REPLACE = scriptOf(`
redis.call('DEL', KEYS[2], KEYS[3])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`);

/**
 * Replaces an entry if its bytes are still those that were read, and ends any load that is under way for it, in one
 * step.
 */
export function replace(
  client: RedisClient,
  { valueKey, leaseKey, fillKey }: EntryKeys,
  before: Buffer,
  after: Buffer,
  lifeMs: number,
): Request<void> {
  return runScript(client, REPLACE, [3, valueKey, leaseKey, fillKey, before, after, lifeMs], { resultOf: requireDone });
}

/** Maximum number of entries in one request: a transaction is all that the server executes while it runs. */
const ENTRIES_PER_REQUEST = 250;

/**
 * Deletes entries and ends the loads under way for them, in a cluster one entry at a time.
 *
 * The leases are deleted first. A load that takes a new lease before its value is deleted has begun after this change:
 * if its value is stored in between, the deletion removes that value too, which costs one more load. So a transaction
 * is needed only when the commands could be separated or sent in another order, or when a lease must be held off.
 * @param holdOffMs also refuses the fills of loads that begin within this time, in milliseconds
 * @returns for each entry, in order, whether there was a value
 */
export async function dropEntries(
  client: RedisClient,
  entries: readonly EntryKeys[],
  holdOffMs?: number,
): Promise<boolean[]> {
  const perRequest = isCluster(client) ? 1 : ENTRIES_PER_REQUEST;
  const parts: Promise<boolean[]>[] = [];
  for (let from = 0; from < entries.length; from += perRequest) {
    parts.push(resultOf(client, drop(client, entries.slice(from, from + perRequest), holdOffMs)));
  }
  return (await Promise.all(parts)).flat();
}

/** Clients whose user or server has no UNLINK: DEL does the same, and frees the memory at once. */
const clientsWithoutUnlink = new WeakSet<RedisClient>();

/**
 * KEYS values, then their leases and fills; ARGV number of values. Returns for each value the number of keys removed.
 * Only for a full Redis, which refuses every transaction.
 */
const DROP = scriptOf(`
local values = tonumber(ARGV[1])
local counts = {}
for i, key in ipairs(KEYS) do
  local removed = redis.call('DEL', key)
  if i <= values then counts[i] = removed end
end
return counts`);

function drop(client: RedisClient, part: readonly EntryKeys[], holdOffMs?: number): Request<boolean[]> {
  const values = part.map(({ valueKey }) => valueKey);
  // remedy: deletion-ends-lease
  const others = part.flatMap(({ leaseKey, fillKey }) => [leaseKey, fillKey]);
  const heldLeases = holdOffMs === undefined ? [] : part.map(({ leaseKey }) => leaseKey);
  const remove = clientsWithoutUnlink.has(client) ? 'del' : 'unlink';
  const dropping: Request<boolean[]> = {
    commands: [
      ['del', ...others],
      ...values.map((key): Command => [remove, key]), // one command per value: UNLINK of several keys answers with a sum
      ...heldLeases.map((key): Command => ['set', key, HOLD_OFF, 'PX', Math.max(1, Math.ceil(holdOffMs ?? 0))]),
    ],
    atomic: heldLeases.length > 0 || !isDirect(client),
    resultOf: (outcomes) => {
      const answers = requireAll(outcomes);
      return values.map((_key, index) => Number(answers[index + 1]) > 0);
    },
  };
  return orElse(dropping, (failure) => {
    const isFull = outageReason(failure) === 'OOM';
    if (remove === 'unlink' && !isFull && refusedCommand(failure) === 'UNLINK' && isRefusal(failure)) {
      clientsWithoutUnlink.add(client);
      return drop(client, part, holdOffMs);
    }
    return isFull ? dropFromFull(client, values, others) : undefined;
  });
}

/** A full Redis deletes, but not in a transaction: queueing its commands takes memory. */
function dropFromFull(client: RedisClient, values: readonly string[], others: readonly string[]): Request<boolean[]> {
  const keys = [...values, ...others];
  return runScript(client, DROP, [keys.length, ...keys, values.length], {
    resultOf: (outcomes) => (requireAll(outcomes)[0] as number[]).map((count) => count > 0),
  });
}

/**
 * Sends pending invalidations, on a connection that need not be trusted yet. Rejects with the first failure; to send
 * them twice does no harm.
 */
export async function replayInvalidations(
  client: RedisClient,
  { entries, stamps }: PendingInvalidations,
): Promise<void> {
  // remedy: replay-deletions
  await Promise.all([dropEntries(client, entries), putPendingStamps(client, stamps)]);
}
