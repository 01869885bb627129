import { TierReplyError } from '../errors/index.js';
import { endedKeyOf, type EntryKeys } from '../keys/index.js';
import { afterThisTurn } from './deadline.js';
import { textIn } from './entry-commands.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';
import { DispensableCommand, outageReason, toTierError } from './client-errors.js';
import {
  isDirect,
  observed,
  orElse,
  requireAll,
  requireDone,
  runScript,
  scriptOf,
  sendTogether,
  type Outcomes,
  type Request,
  type ScriptArguments,
} from './send.js';

/** What Redis answers to an attempt to acquire a lease. */
export interface LeaseAttempt {
  /** The token of the present owner of the lease, as far as Redis says. */
  readonly owner: string | undefined;
  /** The bytes of the value; `null` when there is none. */
  readonly bytes: Buffer | null;
  /** Why Redis gives no lease: it is full, a replica, or forbids it. The value may be there all the same. */
  readonly refusal: TierReplyError | undefined;
}

interface Renewal {
  readonly keys: EntryKeys;
  readonly token: string;
  readonly leaseMs: number;
  readonly resolve: (isOurs: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Commands that end work under way are sent before commands that begin new work. */
const ENDS_WORK = { isUrgent: true };

/** Maximum number of leases in one script: the server executes nothing else while it runs. */
const LEASES_PER_SCRIPT = 250;

/**
 * Acquires, renews and releases the leases of one Redis. To acquire a lease needs no script, but to store under it and
 * to release it do: when scripts are forbidden, a lease that was acquired would only block other loads. So while scripts
 * are refused, leases are acquired by script. While this user may not run scripts, or a command in them, no lease is
 * acquired: the script that acquires it may be allowed where the one that releases it is not.
 *
 * Leases that are due in one turn of the event loop are renewed together: a batch load holds thousands, and one command
 * each would cost more than the load. A cluster refuses scripts over several slots, so there each lease has a command
 * of its own.
 */
export class Leases {
  private due: Renewal[] = [];

  constructor(
    private readonly connection: RedisConnection,
    /** Receives the keys whose values were read together with a lease; absent when nothing depends on it. */
    private readonly onRead?: (valueKeys: readonly string[]) => void,
  ) {}

  acquire(keys: EntryKeys, token: string, leaseMs: number): Promise<LeaseAttempt> {
    return this.afterRead(
      [keys],
      this.connection.request('TAKE', keys.valueKey, (client) => this.acquiring(client, keys, token, leaseMs)),
    );
  }

  /** Acquires leases of one server, in one write. */
  acquireMany(
    wanted: readonly { readonly keys: EntryKeys; readonly token: string; readonly leaseMs: number }[],
    isPiece: boolean,
  ): Promise<LeaseAttempt[]> {
    const send = (client: RedisClient): Promise<LeaseAttempt[]> =>
      sendTogether(
        client,
        wanted.map(({ keys, token, leaseMs }) => this.acquiring(client, keys, token, leaseMs)),
      );
    return this.afterRead(
      wanted.map(({ keys }) => keys),
      this.connection.run('TAKE', send, wanted[0]?.keys.valueKey, { isPiece }),
    );
  }

  /** Renews a lease. @returns whether this process still holds it */
  renew(keys: EntryKeys, token: string, leaseMs: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.due.push({ keys, token, leaseMs, resolve, reject });
      if (this.due.length === 1) {
        afterThisTurn(() => this.renewDue());
      }
    });
  }

  /** Releases a lease of this process; a lease of another process is left alone. */
  release(keys: EntryKeys, token: string): Promise<void> {
    return this.connection.request('RELEASE', keys.leaseKey, (client) => release(client, keys, token), ENDS_WORK);
  }

  private afterRead<Result>(keys: readonly EntryKeys[], reading: Promise<Result>): Promise<Result> {
    const { onRead } = this;
    return onRead === undefined
      ? reading
      : reading.then((result) => {
          onRead(keys.map(({ valueKey }) => valueKey));
          return result;
        });
  }

  private acquiring(client: RedisClient, keys: EntryKeys, token: string, leaseMs: number): Request<LeaseAttempt> {
    const { refusals, topology } = this.connection;
    const { name } = topology.nodeOf(keys.valueKey);
    const forbidden = refusals.forbidsScripts(name);
    if (forbidden !== undefined) {
      return readWithoutLease(keys, new TierReplyError('TAKE', forbidden.reply, forbidden.command, true));
    }
    const acquiring = isDirect(client) && !refusals.areScriptsRefused(name) ? acquire : acquireByScript;
    return observed(acquiring(client, keys, token, leaseMs), ({ refusal }) => {
      if (refusal !== undefined) {
        refusals.note(refusal, name);
      } else if (refusals.areAny) {
        refusals.succeed('TAKE', name);
      }
    });
  }

  private renewDue(): void {
    const { due } = this;
    this.due = [];
    const perScript = this.connection.isCluster ? 1 : LEASES_PER_SCRIPT;
    const byDuration = new Map<number, Renewal[]>();
    for (const renewal of due) {
      const together = byDuration.get(renewal.leaseMs);
      if (together === undefined || together.length === perScript) {
        byDuration.set(renewal.leaseMs, [renewal]);
        if (together !== undefined) {
          void this.renewTogether(renewal.leaseMs, together);
        }
      } else {
        together.push(renewal);
      }
    }
    byDuration.forEach((together, leaseMs) => void this.renewTogether(leaseMs, together));
  }

  private async renewTogether(leaseMs: number, renewals: readonly Renewal[]): Promise<void> {
    const key = renewals[0]?.keys.leaseKey;
    try {
      const areOurs = await this.connection.request(
        'RENEW',
        key,
        (client) => renew(client, renewals, leaseMs),
        ENDS_WORK,
      );
      renewals.forEach(({ resolve }, index) => resolve(areOurs[index] === true));
    } catch (error) {
      renewals.forEach(({ reject }) => reject(error));
    }
  }
}

/**
 * KEYS value, lease; ARGV token, lease ms. Takes the lease if it is free; returns its present owner, and the value. */
const TAKE = scriptOf(`
local isFree = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
return { isFree and ARGV[1] or redis.call('GET', KEYS[2]), redis.call('GET', KEYS[1]) }`);

/** Acquires a lease, if it is free, and reads the value, in one step. */
export function acquireByScript(
  client: RedisClient,
  keys: EntryKeys,
  token: string,
  leaseMs: number,
): Request<LeaseAttempt> {
  const { valueKey, leaseKey } = keys;
  const acquiring = runScript(client, TAKE, [2, valueKey, leaseKey, token, leaseMs], attemptOf);
  return orElse(acquiring, (failure) => {
    const refusal = refusalIn(failure);
    return refusal && readWithoutLease(keys, refusal);
  });
}

function attemptOf(outcomes: Outcomes): LeaseAttempt {
  const [[owner, bytes]] = requireAll(outcomes) as [[owner: unknown, bytes: Buffer | null]];
  return { owner: String(owner), bytes, refusal: undefined };
}

function readWithoutLease({ valueKey, leaseKey }: EntryKeys, refusal: TierReplyError): Request<LeaseAttempt> {
  return {
    commands: [
      ['get', valueKey],
      ['get', leaseKey],
    ],
    resultOf: ([bytes, owner]) => {
      requireAll([bytes]); // the user may lack the right to the key of the lease
      return { owner: textIn(owner), bytes: bytes as Buffer | null, refusal };
    },
  };
}

/** `SET` with `NX` and `GET`, which servers before Redis 7.0 do not have. */
const SET_NX_GET = new DispensableCommand();

/**
 * Acquires a lease, as {@link acquireByScript} does, without a script, which would cost the server more than everything
 * else. The client must be a direct one: the value must be read after the lease. That is as safe as in one step: a
 * change in between ends the lease, or is the fill of its owner.
 */
export function acquire(client: RedisClient, keys: EntryKeys, token: string, leaseMs: number): Request<LeaseAttempt> {
  if (!SET_NX_GET.maySend(client)) {
    return acquireByScript(client, keys, token, leaseMs);
  }
  const acquiring: Request<LeaseAttempt> = {
    commands: [
      ['set', keys.leaseKey, token, 'PX', leaseMs, 'NX', 'GET'],
      ['get', keys.valueKey],
    ],
    resultOf: (outcomes) => {
      const [owner, bytes] = requireAll(outcomes);
      return { owner: textIn(owner) ?? token, bytes: bytes as Buffer | null, refusal: undefined };
    },
  };
  return orElse(acquiring, (failure) => {
    if (outageReason(failure) === 'ERR') {
      SET_NX_GET.forbid(client);
      return acquireByScript(client, keys, token, leaseMs);
    }
    const refusal = refusalIn(failure);
    return refusal && readWithoutLease(keys, refusal);
  });
}

function refusalIn(failure: Error): TierReplyError | undefined {
  const tierError = toTierError('TAKE', failure, 0);
  return tierError instanceof TierReplyError ? tierError : undefined;
}

/**
 * KEYS leases; ARGV lease ms, the tokens of their loads. Returns for each load whether its token still holds its lease.
 */
const RENEW = scriptOf(`
local renewed = {}
for load, lease in ipairs(KEYS) do
  local isOurs = redis.call('GET', lease) == ARGV[1 + load]
  renewed[load] = isOurs and redis.call('PEXPIRE', lease, ARGV[1]) or 0
end
return renewed`);

/**
 * Renews the leases of several loads, all to the same duration.
 * @returns for each load, in order, whether its token still holds its lease
 */
export function renew(
  client: RedisClient,
  loads: readonly { readonly keys: EntryKeys; readonly token: string }[],
  leaseMs: number,
): Request<readonly boolean[]> {
  const leases = loads.map(({ keys }) => keys.leaseKey);
  const args: ScriptArguments = [leases.length, ...leases, leaseMs, ...loads.map(({ token }) => token)];
  return runScript(client, RENEW, args, (outcomes) =>
    (requireAll(outcomes)[0] as number[]).map((isOurs) => isOurs === 1),
  );
}

/** KEYS lease; ARGV token. Releases the lease if the token holds it. */
const RELEASE = scriptOf(`
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0`);

/** Releases a lease of this process; a lease of another process is left alone. */
export function release(client: RedisClient, { leaseKey }: EntryKeys, token: string): Request<void> {
  return runScript(client, RELEASE, [1, leaseKey, token], requireDone);
}

/*
 * A load that ends without a value to store (its loader threw, skipped, `cacheIf` refused) leaves a mark beside its
 * lease for a moment. The processes that waited for it find the lease free or held by another process. With the mark
 * they know that waiting again would be one load after another, so they load at once, each for its own callers. Without
 * a mark the process that held the lease has died or a deletion has ended its load: then the next process loads for
 * all.
 *
 * The mark is a key of its own, so it never keeps a lease from being taken.
 */

/** Life of a mark: longer than the longest pause between two reads of a process that waits. */
const MARK_LIFE_MS = 2_000;

/** Marks that a load has ended without a value to store. It must be sent before the lease is released. */
export function markEnded(keys: EntryKeys): Request<void> {
  return { commands: [['set', endedKeyOf(keys), '1', 'PX', MARK_LIFE_MS]], resultOf: requireDone };
}

/** Whether a load of this key has ended without a value to store within the last {@link MARK_LIFE_MS}. */
export function hasEnded(keys: EntryKeys): Request<boolean> {
  return { commands: [['get', endedKeyOf(keys)]], resultOf: (outcomes) => requireAll(outcomes)[0] !== null };
}
