import { TierReplyError } from '../errors/index.js';
import { isRefusal, toTierError } from './client-errors.js';
import type { RedisClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';

/** The commands that a load runs inside a script. */
const SCRIPT = `
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '', 'XX', 'PX', 1)
redis.call('PEXPIRE', KEYS[1], 1)
redis.call('DEL', KEYS[1])
return 1`;

const NO_SCRIPT = '0'.repeat(40);

type Question = readonly [command: string, ask: (client: RedisClient, key: string) => Promise<unknown>];

/** The commands that the cache needs, each asked on a key of the cache. None of them creates a key. */
const QUESTIONS: readonly Question[] = [
  ['GET', (client, key) => client.get(key)],
  ['SET', (client, key) => client.call('set', [key, '', 'XX', 'PX', '1'])],
  ['DEL', (client, key) => client.del(key)],
  ['RENAME', (client, key) => client.rename(key, `${key}:to`)],
  ['EVALSHA', (client, key) => client.evalsha(NO_SCRIPT, 1, key)],
  ['EVAL', (client, key) => client.eval(SCRIPT, 1, key)],
];

function probeKeyOf(prefix: string): string {
  return `${prefix}{${prefix}#check}:check`;
}

/**
 * Finds out whether scripts are refused, before the first lease is taken: it could not be released then.
 * @param prefix the prefix of all keys, colon included. Rejects only if the connection is lost
 */
export async function probeScripts(connection: RedisConnection, client: RedisClient, prefix: string): Promise<void> {
  const key = probeKeyOf(prefix);
  const questions = [client.eval('return 1', 1, key), client.evalsha(NO_SCRIPT, 1, key)];
  for (const { reason } of (await Promise.allSettled(questions)) as { readonly reason?: unknown }[]) {
    if (isRefusal(reason)) {
      connection.refusals.note(toTierError('CHECK', reason, 0) as TierReplyError);
    }
  }
}

/**
 * Sends Redis every command that the cache needs, on a key that does not exist, so that a refusal is found before the
 * command is needed. The answers are recorded in `connection.refusals`; never rejects.
 * @param prefix the prefix of all keys, colon included
 */
export async function checkPermissions(connection: RedisConnection, prefix: string): Promise<void> {
  const key = probeKeyOf(prefix);
  await Promise.all(
    QUESTIONS.map(([command, ask]) =>
      connection
        .run(`CHECK ${command}`, (client) => ask(client, key), key)
        .then(
          () => connection.refusals.allow(command),
          (error: unknown) => {
            if (error instanceof TierReplyError && !error.isRefusal) {
              connection.refusals.allow(command); // only the key is missing, or the script
            }
          },
        ),
    ),
  );
}
