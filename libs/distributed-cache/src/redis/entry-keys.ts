import { sidecarKeyOf, formerNamesOf } from '../keys/index.js';
import type { RedisClient } from './redis-client.js';
import { outageReason } from './client-errors.js';
import { orElse, type Request } from './send.js';

/**
 * The Redis keys of one entry: its value, the lease to load it, and the staging key from which a loaded value is moved
 * to its place.
 */
export interface EntryKeys {
  readonly valueKey: string;
  readonly leaseKey: string;
  readonly fillKey: string;
}

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
 * To remove in 0.3: the former names in this file, and `formerNamesOf` in `keys/key-layout.ts`.
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
 * Builds a request with the old names while they are in use. The rights of a user may be taken away at run time: a
 * request that is refused then is sent without the old names, and if that succeeds they are no longer used.
 */
export function withFormerNames<Result>(
  client: RedisClient,
  build: (withFormer: boolean) => Request<Result>,
): Request<Result> {
  return usesFormerNames(client)
    ? orElse(build(true), (failure) =>
        outageReason(failure) === 'NOPERM' ? endingFormerNames(client, build(false)) : undefined,
      )
    : build(false);
}

function endingFormerNames<Result>(client: RedisClient, request: Request<Result>): Request<Result> {
  return {
    ...request,
    resultOf: (outcomes) => {
      const result = request.resultOf(outcomes);
      clientsWithFormerNames.delete(client);
      return result;
    },
    insteadOf: (failure) => {
      const other = request.insteadOf?.(failure);
      return other && endingFormerNames(client, other);
    },
  };
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

/** The names under which the sidecar of this value is stored. */
export function sidecarsOf(valueKey: string, withFormer: boolean): string[] {
  const sidecar = sidecarKeyOf(valueKey);
  return withFormer ? [sidecar, formerNamesOf(valueKey).sidecarKey] : [sidecar];
}
