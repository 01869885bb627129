import type { SealedEntry } from '../codec/index.js';
import { type EntryKeys, sidecarKeyOf } from '../keys/index.js';
import { isCluster, type RedisClient, inOneWrite } from './redis-client.js';
import { DispensableCommand, isForbidden, outageReason, refusedCommand } from './client-errors.js';
import {
  isDirect,
  orElse,
  requireAll,
  requireDone,
  sendRequest,
  runScript,
  scriptOf,
  type Command,
  type Outcomes,
  type Request,
  type ScriptArguments,
} from './send.js';

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
  return runScript(client, STAGE, args, isFilled, [['rename', fillKey, valueKey]]);
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
  return runScript(client, REPLACE, [3, valueKey, leaseKey, fillKey, before, after, lifeMs], requireDone);
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
    parts.push(sendRequest(client, drop(client, entries.slice(from, from + perRequest), holdOffMs)));
  }
  return (await Promise.all(parts)).flat();
}

/** `DEL` does the same, and frees the memory at once. */
const UNLINK = new DispensableCommand();

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
  const remove = UNLINK.maySend(client) ? 'unlink' : 'del';
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
    if (remove === 'unlink' && refusedCommand(failure) === 'UNLINK' && isForbidden(failure)) {
      UNLINK.forbid(client);
      return drop(client, part, holdOffMs);
    }
    return outageReason(failure) === 'OOM' ? dropFromFull(client, values, others) : undefined;
  });
}

/** A full Redis deletes, but not in a transaction: queueing its commands takes memory. */
function dropFromFull(client: RedisClient, values: readonly string[], others: readonly string[]): Request<boolean[]> {
  const keys = [...values, ...others];
  return runScript(client, DROP, [keys.length, ...keys, values.length], (outcomes) =>
    (requireAll(outcomes)[0] as number[]).map((count) => count > 0),
  );
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

/** A stamp that is to be stored, unless another process has done so meanwhile. */
export interface PendingStamp {
  /** Begins with the time at which it is stored, in milliseconds of the server's clock, and a `-`. */
  readonly stamp: string;
  /** A stamp that was stored at this time or later makes this one unnecessary. */
  readonly doneFromMs: number;
  /** The stamp of an earlier attempt that may have taken effect; it makes this one unnecessary, too. */
  readonly attempted: string;
  /** The life of the stamp, in milliseconds; `undefined`: until it is replaced. */
  readonly lifeMs: number | undefined;
}

/** A stamp as Redis holds it. */
export interface StoredStamp {
  readonly stamp: string;
  /** The rest of its life, in milliseconds; Infinity when it has no TTL. */
  readonly lifeMs: number;
}

/** Reads a stamp. @returns `undefined` when there is none */
export function readStamp(stampKey: string): Request<string | undefined> {
  return { commands: [['get', stampKey]], resultOf: (outcomes) => textIn(requireAll(outcomes)[0]) };
}

/** Replaces a stamp. A full Redis refuses that; then the old stamp is deleted, which has the same meaning. */
export function putStamp(stampKey: string, stamp: string, lifeMs: number | undefined): Request<void> {
  const putting: Request<void> = { commands: [setting(stampKey, stamp, lifeMs)], resultOf: requireDone };
  return orElse(putting, (failure) =>
    outageReason(failure) === 'OOM' ? { commands: [['del', stampKey]], resultOf: requireDone } : undefined,
  );
}

/** Stores a stamp if there is none. @returns whether there was none */
export function createStamp(stampKey: string, stamp: string, lifeMs: number | undefined): Request<boolean> {
  return {
    commands: [[...setting(stampKey, stamp, lifeMs), 'NX']],
    resultOf: (outcomes) => textIn(requireAll(outcomes)[0]) === 'OK',
  };
}

function setting(stampKey: string, stamp: string, lifeMs: number | undefined): Command {
  return lifeMs === undefined ? ['set', stampKey, stamp] : ['set', stampKey, stamp, 'PX', lifeMs];
}

/** Reads a stamp and the rest of its life, in one round trip. Without the permission to ask for lives the life is 0. */
export function readStampLife(stampKey: string): Request<StoredStamp | undefined> {
  return {
    commands: [
      ['get', stampKey],
      ['pttl', stampKey],
    ],
    resultOf: ([found, life]) => {
      const isRefused = life instanceof Error && life.name === 'ReplyError';
      requireAll(isRefused ? [found] : [found, life]);
      const stamp = textIn(found);
      const lifeMs = isRefused ? 0 : Number(life);
      return stamp === undefined ? undefined : { stamp, lifeMs: lifeMs === -1 ? Infinity : Math.max(0, lifeMs) };
    },
  };
}

/**
 * Extends the life of a stamp to at least `lifeMs` from now on; one that lives longer stays as it is, unless it has no
 * TTL.
 * @returns false if the stamp is gone or lives longer
 */
export function extendStamp(stampKey: string, lifeMs: number, hasNoTtl: boolean): Request<boolean> {
  const extending = (...condition: string[]): Request<boolean> => ({
    commands: [['pexpire', stampKey, lifeMs, ...condition]],
    resultOf: (outcomes) => requireAll(outcomes)[0] === 1,
  });
  return hasNoTtl
    ? extending()
    : orElse(extending('GT'), (failure) => (outageReason(failure) === 'ERR' ? extending() : undefined)); // before Redis 7
}

/**
 * KEYS stamp; ARGV the new stamp, the time from which on another one is enough, one stamp that is enough, perhaps a
 * life in ms. Returns whether the stamp was replaced.
 */
const REPLACE_STAMP = scriptOf(`
local current = redis.call('GET', KEYS[1])
if current == ARGV[1] or current == ARGV[3] then return 0 end
local at = current and tonumber(string.match(current, '^(%d+)-'))
-- remedy: later-clear-stands
if at and at >= tonumber(ARGV[2]) then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4]) end
return 1`);

/** Stores each of these stamps, once for all processes that try to. */
export async function putPendingStamps(client: RedisClient, stamps: ReadonlyMap<string, PendingStamp>): Promise<void> {
  await Promise.all(
    inOneWrite(client, () =>
      [...stamps].map(([key, pending]) => sendRequest(client, putPendingStamp(client, key, pending))),
    ),
  );
}

function putPendingStamp(
  client: RedisClient,
  stampKey: string,
  { stamp, doneFromMs, attempted, lifeMs }: PendingStamp,
): Request<void> {
  const args: ScriptArguments = [1, stampKey, stamp, doneFromMs, attempted, lifeMs ?? ''];
  return orElse(
    runScript(client, REPLACE_STAMP, args, requireDone),
    (failure) => (failure.name === 'ReplyError' ? putStamp(stampKey, stamp, lifeMs) : undefined), // scripts are refused, or Redis is full
  );
}

/*
 * The dictionaries of a namespace: each under its id, and the id of the current one. Only a dictionary that is no longer
 * the current one has a TTL.
 */

/** The keys of a dictionary, and of the id of the current one. Both are in one slot. */
interface DictionaryKeys {
  readonly currentKey: string;
  readonly dictionaryKey: string;
}

/** Reads the bytes of a dictionary. */
export function readDictionary(dictionaryKey: string): Request<Buffer | undefined> {
  return {
    commands: [['get', dictionaryKey]],
    resultOf: (outcomes) => (requireOfDictionary(outcomes)[0] as Buffer | null) ?? undefined,
  };
}

/**
 * Reads the id of the current dictionary, and whether the one that this process holds is there without a TTL, as far as
 * Redis tells.
 */
export function readCurrentDictionary({ currentKey, dictionaryKey }: DictionaryKeys): Request<{
  readonly id: string | undefined;
  readonly isKept: boolean;
}> {
  return {
    commands: [
      ['get', currentKey],
      ['pttl', dictionaryKey],
    ],
    resultOf: ([id, lifeMs]) => {
      requireOfDictionary([id]);
      return { id: textIn(id), isKept: lifeMs === -1 || lifeMs instanceof Error };
    },
  };
}

/** Takes the right to train, for all processes. @returns whether this process has it */
export function beginTraining(trainingKey: string, lifeMs: number): Request<boolean> {
  return {
    commands: [['set', trainingKey, '', 'PX', lifeMs, 'NX']],
    resultOf: (outcomes) => textIn(requireOfDictionary(outcomes)[0]) === 'OK',
  };
}

/** Stores a dictionary and makes it the current one. @returns the id of the one before */
export function putDictionary(
  { currentKey, dictionaryKey }: DictionaryKeys,
  id: string,
  bytes: Buffer,
): Request<string | undefined> {
  return {
    commands: [
      ['get', currentKey],
      ['set', dictionaryKey, bytes],
      ['set', currentKey, id],
    ],
    resultOf: (outcomes) => textIn(requireOfDictionary(outcomes)[0]),
  };
}

/** Gives a dictionary that is no longer the current one a TTL; one that it has already is not shortened. */
export function expireDictionary(dictionaryKey: string, lifeMs: number): Request<void> {
  const expiring = (commands: readonly Command[]): Request<void> => ({
    commands,
    resultOf: (outcomes) => void requireOfDictionary(outcomes),
  });
  const expire: Command = ['pexpire', dictionaryKey, lifeMs];
  return orElse(
    expiring([
      [...expire, 'NX'],
      [...expire, 'GT'],
    ]),
    (failure) => (outageReason(failure) === 'ERR' ? expiring([expire]) : undefined), // before Redis 7
  );
}

/**
 * The outcomes. A missing right is reported without the name of the command: it is missing for the keys of dictionaries,
 * and entries may be stored all the same. Any other refusal is not noted here: entries meet it, and its end, too.
 * @throws the first error among them
 */
function requireOfDictionary(outcomes: Outcomes): Outcomes {
  const failure = outcomes.find((outcome) => outcome instanceof Error);
  if (failure instanceof Error && failure.name === 'ReplyError') {
    const isNoPermission = outageReason(failure) === 'NOPERM';
    throw Object.assign(new Error(isNoPermission ? failure.message : `ERR ${failure.message}`), { name: failure.name });
  }
  return requireAll(outcomes);
}

/** A reply that is a text; `undefined` for any other outcome. */
export function textIn(reply: unknown): string | undefined {
  return Buffer.isBuffer(reply) || typeof reply === 'string' ? reply.toString() : undefined;
}
