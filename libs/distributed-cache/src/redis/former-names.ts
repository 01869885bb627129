import { companionKeyOf, formerNamesOf } from '../keys/index.js';
import type { EntryKeys } from './entry-keys.js';
import type { RedisClient } from './redis-client.js';
import { outageReason } from './reply-errors.js';

/*
 * The names of leases and fills in versions before 0.2, for rolling upgrades. Those versions keep the lease and the
 * fill of `cache:ns:key` under `{cache:ns:key}:lease` and `{cache:ns:key}:fill`. While such processes run beside this
 * one, each must end the loads of the other. An old process takes and drops the old names only, so this version takes
 * and drops both, and a fill needs both leases.
 *
 * An old process that changes the value removes fills under the old name only. A fill here is therefore one
 * transaction: between its two commands an old process could store a value that the fill would then replace.
 *
 * A user that may touch `cache:*` only can't use the old names. Old processes of that user have no leases either and
 * store no loads. One question at each connection finds out which of the two it is.
 *
 * To remove in 0.3: this file, `formerNamesOf` in `keys/key-layout.ts`, and what uses them.
 */

const clientsWithFormerNames = new WeakSet<RedisClient>();

/**
 * Finds out whether this user may touch the old names. One read is enough: a user that may only read them is found by
 * the first write, see {@link withFormerNames}.
 * @param prefix the prefix of all keys, colon included
 */
export async function probeFormerNames(client: RedisClient, prefix: string): Promise<void> {
  const { leaseKey } = formerNamesOf(`${prefix}#former`);
  const refusal = await client.get(leaseKey).then(
    () => undefined,
    (error: unknown) => outageReason(error),
  );
  if (refusal === 'NOPERM') {
    clientsWithFormerNames.delete(client);
  } else {
    clientsWithFormerNames.add(client); // any other fault shows in the commands that follow
  }
}

/** Whether commands of this client use the old names as well. */
export function usesFormerNames(client: RedisClient): boolean {
  return clientsWithFormerNames.has(client);
}

/**
 * Sends a command with the old names while they are in use. The rights of a user may be taken away at run time: a
 * command that is refused then is sent without the old names, and if that succeeds they are no longer used.
 */
export async function withFormerNames<Result>(
  client: RedisClient,
  send: (withFormer: boolean) => Promise<Result>,
): Promise<Result> {
  const withFormer = usesFormerNames(client);
  try {
    return await send(withFormer);
  } catch (error) {
    if (!withFormer || outageReason(error) !== 'NOPERM') {
      throw error;
    }
    const result = await send(false);
    clientsWithFormerNames.delete(client);
    return result;
  }
}

/** The names of the leases that a load of this key holds. */
export function leasesOf({ valueKey, leaseKey }: EntryKeys, withFormer: boolean): string[] {
  return withFormer ? [leaseKey, formerNamesOf(valueKey).leaseKey] : [leaseKey];
}

/** The keys that a change of this key removes, so that no load under way is stored after it. */
export function loadNamesOf({ valueKey, leaseKey, fillKey }: EntryKeys, withFormer: boolean): string[] {
  if (!withFormer) {
    return [leaseKey, fillKey];
  }
  const former = formerNamesOf(valueKey);
  return [leaseKey, fillKey, former.leaseKey, former.fillKey];
}

/** The names under which the companion of this value is stored. */
export function companionsOf(valueKey: string, withFormer: boolean): string[] {
  const companion = companionKeyOf(valueKey);
  return withFormer ? [companion, formerNamesOf(valueKey).companionKey] : [companion];
}

/** Reads the companions of this value; both names are in one slot. */
export function readCompanions(client: RedisClient, valueKey: string): Promise<(Buffer | null)[]> {
  return withFormerNames(client, (withFormer) => {
    const names = companionsOf(valueKey, withFormer);
    return withFormer ? client.mgetBuffer(names) : Promise.all(names.map((name) => client.getBuffer(name)));
  });
}
