import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-client.js';

/*
 * A lease is the right to load one key for the whole cluster, and the only ticket with which a load's result is stored
 * (Nishtala et al., Scaling Memcache at Facebook, NSDI 2013, section 3.2.1). A `set` or a deletion takes it away, so a load that
 * began before one can never overwrite it.
 *
 * As a rule no script changes a value. Redis tells a client of every change but its own (NOLOOP), and what a script changes does not
 * count as its caller's: each fill would come back as a message that throws our own copy away. So a fill is two commands,
 * sent together. STAGE puts the value beside its place if the lease is still ours; a plain RENAME moves it there. What comes
 * between them, a `set` or a deletion, removes the staged value as well, and the RENAME finds nothing to move.
 */

/** The token of a lease that nobody has: it was taken to refuse fills for a while. */
export const HOLD_OFF = 'hold-off';

/** KEYS value, lease; ARGV token, lease ms. Takes the lease if nobody has it; returns who has it now, and the value. */
const TAKE = `
local owner = ARGV[1]
if not redis.call('SET', KEYS[2], owner, 'NX', 'PX', ARGV[2]) then owner = redis.call('GET', KEYS[2]) end
return { owner, redis.call('GET', KEYS[1]) }`;

/** KEYS value, lease, fill; ARGV bytes before, bytes after, life ms. Replaces what has not changed; ends the load under way. */
const REPLACE = `
redis.call('DEL', KEYS[2], KEYS[3])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/**
 * KEYS lease, fill, perhaps companion; ARGV token, bytes, life ms, perhaps the companion's bytes. Ends the lease; returns whether
 * it was ours and the value is staged. The companion lies where nobody is told of changes, so it needs no staging.
 */
export const STAGE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
if KEYS[3] then redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
return 1`;

/** The name under which a server that has run {@link STAGE} knows it. */
export const STAGE_SHA = createHash('sha1').update(STAGE).digest('hex');

/**
 * KEYS values, then their leases and fills; ARGV number of values. Returns for each value how many there were. For a full Redis only,
 * which refuses every transaction.
 */
const DROP = `
local values = tonumber(ARGV[1])
local counts = {}
for i, key in ipairs(KEYS) do
  local removed = redis.call('UNLINK', key)
  if i <= values then counts[i] = removed end
end
return counts`;

/** KEYS lease; ARGV token, lease ms. Returns whether the lease is still ours. */
const RENEW = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

/** KEYS lease; ARGV token. */
const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

/** The commands that {@link leaseCommandsOf} adds to a client; keys first, then arguments. */
export interface LeaseCommands {
  ndcTakeBuffer(
    valueKey: string,
    leaseKey: string,
    token: string,
    leaseMs: number,
  ): Promise<[owner: Buffer, bytes: Buffer | null]>;
  ndcStage(leaseKey: string, fillKey: string, token: string, bytes: Buffer, lifeMs: number): Promise<number>;
  ndcStageBoth(
    leaseKey: string,
    fillKey: string,
    companionKey: string,
    token: string,
    bytes: Buffer,
    lifeMs: number,
    companion: Buffer,
  ): Promise<number>;
  ndcReplace(
    valueKey: string,
    leaseKey: string,
    fillKey: string,
    before: Buffer,
    after: Buffer,
    lifeMs: number,
  ): Promise<number>;
  ndcDrop(numberOfKeys: number, ...keysAndNumberOfValues: (string | number)[]): Promise<number[]>;
  ndcRenew(leaseKey: string, token: string, leaseMs: number): Promise<number>;
  ndcRelease(leaseKey: string, token: string): Promise<number>;
}

const known = new WeakMap<RedisClient, LeaseCommands>();

/** The client with our scripts; it sends a script's text only to a server that does not have it yet. */
export function leaseCommandsOf(client: RedisClient): LeaseCommands {
  let commands = known.get(client);
  if (commands === undefined) {
    client.defineCommand('ndcTake', { numberOfKeys: 2, lua: TAKE });
    client.defineCommand('ndcStage', { numberOfKeys: 2, lua: STAGE });
    client.defineCommand('ndcStageBoth', { numberOfKeys: 3, lua: STAGE });
    client.defineCommand('ndcReplace', { numberOfKeys: 3, lua: REPLACE });
    client.defineCommand('ndcDrop', { lua: DROP });
    client.defineCommand('ndcRenew', { numberOfKeys: 1, lua: RENEW });
    client.defineCommand('ndcRelease', { numberOfKeys: 1, lua: RELEASE });
    commands = client as unknown as LeaseCommands;
    known.set(client, commands);
  }
  return commands;
}
