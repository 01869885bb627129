import { inOneWrite, type RedisClient } from './redis-client.js';
import { outageReason } from './reply-errors.js';

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

/**
 * KEYS stamp; ARGV the new stamp, the time from which on another one is enough, one stamp that is enough, perhaps a
 * life in ms. Returns whether the stamp was replaced.
 */
const REPLACE = `
local current = redis.call('GET', KEYS[1])
if current == ARGV[1] or current == ARGV[3] then return 0 end
local at = current and tonumber(string.match(current, '^(%d+)-'))
if at and at >= tonumber(ARGV[2]) then return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4]) end
return 1`;

interface StampCommands {
  ndcReplaceStamp(
    stampKey: string,
    stamp: string,
    doneFromMs: number,
    attempted: string,
    lifeMs: number | '',
  ): Promise<number>;
}

const known = new WeakMap<RedisClient, StampCommands>();

function stampCommandsOf(client: RedisClient): StampCommands {
  let commands = known.get(client);
  if (commands === undefined) {
    client.defineCommand('ndcReplaceStamp', { numberOfKeys: 1, lua: REPLACE });
    commands = client as unknown as StampCommands;
    known.set(client, commands);
  }
  return commands;
}

/** Replaces a stamp. A full Redis refuses that; then the old stamp is deleted, which has the same meaning. */
export async function putStamp(
  client: RedisClient,
  stampKey: string,
  stamp: string,
  lifeMs: number | undefined,
): Promise<void> {
  try {
    await (lifeMs === undefined ? client.set(stampKey, stamp) : client.set(stampKey, stamp, 'PX', lifeMs));
  } catch (error) {
    if (outageReason(error) !== 'OOM') {
      throw error;
    }
    await client.del(stampKey);
  }
}

/** Stores a stamp if there is none. @returns whether there was none */
export async function createStamp(
  client: RedisClient,
  stampKey: string,
  stamp: string,
  lifeMs: number | undefined,
): Promise<boolean> {
  const created = await (lifeMs === undefined
    ? client.set(stampKey, stamp, 'NX')
    : client.set(stampKey, stamp, 'PX', lifeMs, 'NX'));
  return created === 'OK';
}

/** Reads a stamp and the rest of its life, in one round trip. Without the permission to ask for lives the life is 0. */
export async function readStampLife(client: RedisClient, stampKey: string): Promise<StoredStamp | undefined> {
  const [stamp, lifeMs] = await Promise.all(
    inOneWrite(client, () => [client.get(stampKey), client.pttl(stampKey).catch(toZeroIfRefused)] as const),
  );
  return stamp === null ? undefined : { stamp, lifeMs: lifeMs === -1 ? Infinity : Math.max(0, lifeMs) };
}

/**
 * Extends the life of a stamp to at least `lifeMs` from now on; one that lives longer stays as it is, unless it has no
 * TTL.
 * @returns false if the stamp is gone or lives longer
 */
export async function extendStamp(
  client: RedisClient,
  stampKey: string,
  lifeMs: number,
  hasNoTtl: boolean,
): Promise<boolean> {
  if (hasNoTtl) {
    return (await client.pexpire(stampKey, lifeMs)) === 1;
  }
  try {
    return (await client.pexpire(stampKey, lifeMs, 'GT')) === 1;
  } catch (error) {
    if (outageReason(error) !== 'ERR') {
      throw error;
    }
    return (await client.pexpire(stampKey, lifeMs)) === 1; // before Redis 7
  }
}

function toZeroIfRefused(error: unknown): number {
  if (error instanceof Error && error.name === 'ReplyError') {
    return 0;
  }
  throw error;
}

/** Stores each of these stamps, once for all processes that try to. */
export async function putPendingStamps(client: RedisClient, stamps: ReadonlyMap<string, PendingStamp>): Promise<void> {
  await Promise.all(
    inOneWrite(client, () => [...stamps].map(([key, pending]) => putPendingStamp(client, key, pending))),
  );
}

async function putPendingStamp(
  client: RedisClient,
  stampKey: string,
  { stamp, doneFromMs, attempted, lifeMs }: PendingStamp,
): Promise<void> {
  try {
    await stampCommandsOf(client).ndcReplaceStamp(stampKey, stamp, doneFromMs, attempted, lifeMs ?? '');
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ReplyError') {
      throw error;
    }
    await putStamp(client, stampKey, stamp, lifeMs); // scripts are refused, or Redis is full
  }
}
