import { inOneWrite, type RedisClient } from './redis-client.js';
import { outageReason } from './client-errors.js';
import { orElse, requireAll, requireDone, resultOf, runScript, scriptOf, type Command, type Request } from './send.js';

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
      [...stamps].map(([key, pending]) => resultOf(client, putPendingStamp(client, key, pending))),
    ),
  );
}

function putPendingStamp(
  client: RedisClient,
  stampKey: string,
  { stamp, doneFromMs, attempted, lifeMs }: PendingStamp,
): Request<void> {
  const replacing = runScript(client, REPLACE_STAMP, [1, stampKey, stamp, doneFromMs, attempted, lifeMs ?? ''], {
    resultOf: requireDone,
  });
  return orElse(
    replacing,
    (failure) => (failure.name === 'ReplyError' ? putStamp(stampKey, stamp, lifeMs) : undefined), // scripts are refused, or Redis is full
  );
}

function textIn(reply: unknown): string | undefined {
  return Buffer.isBuffer(reply) || typeof reply === 'string' ? reply.toString() : undefined;
}
