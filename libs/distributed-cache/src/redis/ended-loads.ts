import type { EntryKeys } from './entry-keys.js';
import type { RedisConnection } from './redis-connection.js';

/*
 * A load that ends without a value to store (its loader threw, skipped, `cacheIf` refused) leaves a mark beside its
 * lease for a moment. The processes that waited for it find the lease free or held by another process. With the mark
 * they know that waiting again would be one load after another, so they load at once, each for its own callers. Without
 * a mark the process that held the lease has died or a deletion has ended its load: then the next process loads for
 * all.
 *
 * The mark is a key of its own, so it never keeps a lease from being taken.
 */

const SUFFIX = ':ended';
const MARK_END = '}:lease:ended';

/** Life of a mark: longer than the longest pause between two reads of a process that waits. */
const MARK_LIFE_MS = 2_000;

function markOf({ leaseKey }: Pick<EntryKeys, 'leaseKey'>): string {
  return leaseKey + SUFFIX;
}

/**
 * The key of the value whose load has ended; `undefined` when the key is not a mark.
 * @param key beside a value, see `isBesideValue`
 * @param prefixLength of `prefix:`
 */
export function valueOfMark(key: string, prefixLength: number): string | undefined {
  return key.endsWith(MARK_END) ? key.slice(prefixLength + 1, -MARK_END.length) : undefined;
}

/** Marks that a load has ended without a value to store. It must be sent before the lease is released. */
export async function markEnded(connection: RedisConnection, keys: EntryKeys): Promise<void> {
  const mark = markOf(keys);
  await connection.run('MARK', (client) => client.set(mark, '1', 'PX', MARK_LIFE_MS), mark);
}

/** Whether a load of this key has ended without a value to store within the last {@link MARK_LIFE_MS}. */
export async function hasEnded(connection: RedisConnection, keys: EntryKeys): Promise<boolean> {
  const mark = markOf(keys);
  return (await connection.run('GET', (client) => client.get(mark), mark)) !== null;
}
