import { isCluster, type RedisClient } from './redis-client.js';

/** Invalidations that Redis has not acknowledged. */
export interface PendingInvalidations {
  /** Full names of values to delete. */
  readonly valueKeys: readonly string[];
  /** New stamps by the full names of their keys. */
  readonly stamps: ReadonlyMap<string, string>;
}

const KEYS_PER_COMMAND = 500;

/** Sends them all, on a connection that need not be trusted yet. Rejects with the first failure; sending twice does no harm. */
export async function replayInvalidations(
  client: RedisClient,
  { valueKeys, stamps }: PendingInvalidations,
): Promise<void> {
  const perCommand = isCluster(client) ? 1 : KEYS_PER_COMMAND;
  const commands: Promise<unknown>[] = [...stamps].map(([stampKey, stamp]) => client.set(stampKey, stamp));
  for (let from = 0; from < valueKeys.length; from += perCommand) {
    commands.push(client.unlink(valueKeys.slice(from, from + perCommand)));
  }
  await Promise.all(commands);
}
