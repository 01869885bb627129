import type { SealedEntry } from '../codec/index.js';
import { sidecarsOf, leasesOf, loadNamesOf, withFormerNames, type EntryKeys } from './entry-keys.js';
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
  const { valueKey } = keys;
  return withFormerNames(client, (withFormer) => {
    const commands: Command[] = [
      ['del', ...loadNamesOf(keys, withFormer)],
      ['set', valueKey, bytes, 'PX', lifeMs],
    ];
    if (sidecar !== undefined) {
      sidecarsOf(valueKey, withFormer).forEach((key) => commands.push(['set', key, sidecar, 'PX', lifeMs]));
    }
    return {
      commands,
      atomic: sidecar !== undefined || !isDirect(client),
      resultOf: requireDone,
    };
  });
}

/**
 * KEYS fill, leases, perhaps sidecars; ARGV token, bytes, life ms, number of leases, perhaps the sidecar's bytes.
 * Ends the leases; returns whether the token held them and the value is staged. A sidecar names the text that it
 * belongs to, so it needs no staging.
 */
const STAGE = scriptOf(`
local last = tonumber(ARGV[4]) + 1
for i = 2, last do
  -- remedy: fill-needs-lease
  if redis.call('GET', KEYS[i]) ~= ARGV[1] then
    redis.call('DEL', KEYS[1])
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for i = last + 1, #KEYS do redis.call('SET', KEYS[i], ARGV[5], 'PX', ARGV[3]) end
for i = 2, last do redis.call('DEL', KEYS[i]) end
return 1`);

/**
 * Stores a loaded value under a lease. With leases under two names it is one transaction, see `entry-keys.ts`.
 * @returns false if this process no longer holds the lease
 */
export function fill(
  client: RedisClient,
  keys: EntryKeys,
  token: string,
  sealed: SealedEntry,
  lifeMs: number,
): Request<boolean> {
  return withFormerNames(client, (withFormer) =>
    runScript(
      client,
      STAGE,
      stagingOf(keys, token, sealed, lifeMs, withFormer),
      { atomic: withFormer, resultOf: isFilled },
      [['rename', keys.fillKey, keys.valueKey]],
    ),
  );
}

function stagingOf(
  keys: EntryKeys,
  token: string,
  { bytes, sidecar }: SealedEntry,
  lifeMs: number,
  withFormer: boolean,
): ScriptArguments {
  const leases = leasesOf(keys, withFormer);
  const names = [keys.fillKey, ...leases];
  if (sidecar === undefined) {
    return [names.length, ...names, token, bytes, lifeMs, leases.length];
  }
  names.push(...sidecarsOf(keys.valueKey, withFormer));
  return [names.length, ...names, token, bytes, lifeMs, leases.length, sidecar];
}

function isFilled([staged, moved]: Outcomes): boolean {
  const isMissing = moved instanceof Error && moved.message.includes('no such key'); // there was no staged value
  requireAll(isMissing ? [staged] : [staged, moved]);
  return staged === 1 && !isMissing;
}

/**
 * KEYS value, leases and fills; ARGV bytes before, bytes after, life ms. Replaces a value that has not changed; ends
 * the load under way.
 */
const REPLACE = scriptOf(`
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`);

/**
 * Replaces an entry if its bytes are still those that were read, and ends any load that is under way for it, in one
 * step.
 */
export function replace(
  client: RedisClient,
  keys: EntryKeys,
  before: Buffer,
  after: Buffer,
  lifeMs: number,
): Request<void> {
  return withFormerNames(client, (withFormer) => {
    const names = [keys.valueKey, ...loadNamesOf(keys, withFormer)];
    return runScript(client, REPLACE, [names.length, ...names, before, after, lifeMs], {
      resultOf: requireDone,
    });
  });
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
  return withFormerNames(client, (withFormer) => {
    const values = part.map(({ valueKey }) => valueKey);
    // remedy: deletion-ends-lease
    const others = part.flatMap((keys) => loadNamesOf(keys, withFormer));
    const held = holdOffMs === undefined ? [] : part.flatMap((keys) => leasesOf(keys, withFormer));
    return dropAtOnce(client, values, others, held, holdOffMs);
  });
}

function dropAtOnce(
  client: RedisClient,
  values: readonly string[],
  others: readonly string[],
  heldLeases: readonly string[],
  holdOffMs = 0,
): Request<boolean[]> {
  const remove = clientsWithoutUnlink.has(client) ? 'del' : 'unlink';
  const dropping: Request<boolean[]> = {
    commands: [
      ['del', ...others],
      ...values.map((key): Command => [remove, key]), // one command per value: UNLINK of several keys answers with a sum
      ...heldLeases.map((key): Command => ['set', key, HOLD_OFF, 'PX', Math.max(1, Math.ceil(holdOffMs))]),
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
      return dropAtOnce(client, values, others, heldLeases, holdOffMs);
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
