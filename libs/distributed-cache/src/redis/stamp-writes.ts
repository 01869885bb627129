import { inOneWrite, type RedisClient } from './redis-client.js';
import { outageReason } from './reply-errors.js';

/** A stamp that is to be put in place, unless that has been done by another process meanwhile. */
export interface PendingStamp {
  /** Begins with the time at which it is put in place, in milliseconds of the server's clock, and a `-`. */
  readonly stamp: string;
  /** A stamp that was put in place at this time or later says as much already. */
  readonly doneFromMs: number;
  /** So does this one: an earlier attempt, of which it is not known whether it took effect. */
  readonly attempted: string;
}

/** KEYS stamp; ARGV the new one, the time from which on another one will do, one that will do. Returns whether it was replaced. */
const REPLACE = `
local current = redis.call('GET', KEYS[1])
if current == ARGV[1] or current == ARGV[3] then return 0 end
local at = current and tonumber(string.match(current, '^(%d+)-'))
if at and at >= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`;

interface StampCommands {
  ndcReplaceStamp(stampKey: string, stamp: string, doneFromMs: number, attempted: string): Promise<number>;
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

/** Puts a stamp in place of the one that is there. A full Redis refuses that, but forgets the old one, which says as much. */
export async function putStamp(client: RedisClient, stampKey: string, stamp: string): Promise<void> {
  try {
    await client.set(stampKey, stamp);
  } catch (error) {
    if (outageReason(error) !== 'OOM') {
      throw error;
    }
    await client.unlink(stampKey);
  }
}

/** Puts each of these stamps in place, once for all processes that want to. */
export async function putPendingStamps(client: RedisClient, stamps: ReadonlyMap<string, PendingStamp>): Promise<void> {
  await Promise.all(
    inOneWrite(client, () => [...stamps].map(([key, pending]) => putPendingStamp(client, key, pending))),
  );
}

async function putPendingStamp(
  client: RedisClient,
  stampKey: string,
  { stamp, doneFromMs, attempted }: PendingStamp,
): Promise<void> {
  try {
    await stampCommandsOf(client).ndcReplaceStamp(stampKey, stamp, doneFromMs, attempted);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ReplyError') {
      throw error;
    }
    await putStamp(client, stampKey, stamp); // scripts are refused, or Redis is full
  }
}
