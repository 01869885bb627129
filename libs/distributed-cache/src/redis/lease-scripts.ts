import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-client.js';

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

/**
 * KEYS value, leases; ARGV token, lease ms. Takes the leases if they are free; returns the present owner of a lease,
 * and the value.
 */
const TAKE = `
local owner = ARGV[1]
for i = 2, #KEYS do
  if not redis.call('SET', KEYS[i], ARGV[1], 'NX', 'PX', ARGV[2]) then
    owner = redis.call('GET', KEYS[i])
    for taken = 2, i - 1 do redis.call('DEL', KEYS[taken]) end
    break
  end
end
return { owner, redis.call('GET', KEYS[1]) }`;

/**
 * KEYS value, leases and fills; ARGV bytes before, bytes after, life ms. Replaces a value that has not changed; ends
 * the load under way.
 */
const REPLACE = `
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/**
 * KEYS fill, leases, perhaps companions; ARGV token, bytes, life ms, number of leases, perhaps the companion's bytes.
 * Ends the leases; returns whether the token held them and the value is staged. A companion names the text that it
 * belongs to, so it needs no staging.
 */
export const STAGE = `
local last = tonumber(ARGV[4]) + 1
for i = 2, last do
  if redis.call('GET', KEYS[i]) ~= ARGV[1] then
    redis.call('DEL', KEYS[1])
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for i = last + 1, #KEYS do redis.call('SET', KEYS[i], ARGV[5], 'PX', ARGV[3]) end
for i = 2, last do redis.call('DEL', KEYS[i]) end
return 1`;

/** The SHA-1 by which a server that has run {@link STAGE} finds it. */
export const STAGE_SHA = createHash('sha1').update(STAGE).digest('hex');

/**
 * KEYS values, then their leases and fills; ARGV number of values. Returns for each value the number of keys removed.
 * Only for a full Redis, which refuses every transaction.
 */
const DROP = `
local values = tonumber(ARGV[1])
local counts = {}
for i, key in ipairs(KEYS) do
  local removed = redis.call('DEL', key)
  if i <= values then counts[i] = removed end
end
return counts`;

/**
 * KEYS the leases of several loads, the same number for each; ARGV lease ms, that number, the tokens of the loads.
 * Returns for each load whether its token still holds its leases.
 */
const RENEW = `
local each = tonumber(ARGV[2])
local renewed = {}
for load = 1, #KEYS / each do
  local token = ARGV[2 + load]
  local first = (load - 1) * each + 1
  local ours = 1
  for i = first, first + each - 1 do
    if redis.call('GET', KEYS[i]) ~= token then ours = 0 end
  end
  if ours == 1 then
    for i = first, first + each - 1 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
  end
  renewed[load] = ours
end
return renewed`;

/** KEYS leases; ARGV token. Releases those that the token holds. */
const RELEASE = `
local released = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then released = released + redis.call('DEL', key) end
end
return released`;

type KeysAndArguments = readonly (string | number | Buffer)[];

/** The commands that {@link leaseCommandsOf} adds to a client: the number of keys, the keys, the arguments. */
export interface LeaseCommands {
  ndcTakeBuffer(
    numberOfKeys: number,
    ...keysAndArguments: KeysAndArguments
  ): Promise<[owner: Buffer, bytes: Buffer | null]>;
  ndcStage(numberOfKeys: number, ...keysAndArguments: KeysAndArguments): Promise<number>;
  ndcReplace(numberOfKeys: number, ...keysAndArguments: KeysAndArguments): Promise<number>;
  ndcDrop(numberOfKeys: number, ...keysAndArguments: KeysAndArguments): Promise<number[]>;
  ndcRenew(numberOfKeys: number, ...keysAndArguments: KeysAndArguments): Promise<number[]>;
  ndcRelease(numberOfKeys: number, ...keysAndArguments: KeysAndArguments): Promise<number>;
}

const known = new WeakMap<RedisClient, LeaseCommands>();

/**
 * Adds the scripts to a client, once. The client sends the text of a script only to a server that does not have it yet.
 */
export function leaseCommandsOf(client: RedisClient): LeaseCommands {
  let commands = known.get(client);
  if (commands === undefined) {
    client.defineCommand('ndcTake', { lua: TAKE });
    client.defineCommand('ndcStage', { lua: STAGE });
    client.defineCommand('ndcReplace', { lua: REPLACE });
    client.defineCommand('ndcDrop', { lua: DROP });
    client.defineCommand('ndcRenew', { lua: RENEW });
    client.defineCommand('ndcRelease', { lua: RELEASE });
    commands = client as unknown as LeaseCommands;
    known.set(client, commands);
  }
  return commands;
}
