import type { Redis } from 'ioredis';
import { inOneWrite, isCluster, type RedisClient } from './redis-client.js';

/** A command's name, in small letters, and its arguments. */
export type Command = readonly [name: string, ...args: (string | number | Buffer)[]];

/**
 * Executes commands in one step (`MULTI` ... `EXEC`), written in one go.
 *
 * The client's own transactions cost several times the processor time of the commands in them. They are left to a cluster, whose
 * client must find the node first, and to an application's client that pipelines by itself or sends again what was cut off: of a
 * transaction that it does not know as one it would send the rest.
 * @returns the answers. @throws the first error among them, or the reason why nothing was executed
 */
export async function transact(client: RedisClient, commands: readonly Command[]): Promise<unknown[]> {
  return isOneLine(client) ? transactDirectly(client, commands) : transactByPipeline(client, commands);
}

/** Whether commands that are sent one after the other arrive so, or not at all: nothing sorts them anew or sends some again. */
export function isOneLine(client: RedisClient): client is Redis {
  return (
    !isCluster(client) &&
    client.options.enableAutoPipelining !== true &&
    client.options.autoResendUnfulfilledCommands === false
  );
}

async function transactDirectly(client: Redis, commands: readonly Command[]): Promise<unknown[]> {
  let refusal: Error | undefined;
  const onRefusal = (error: Error): void => {
    refusal ??= error;
  };
  const executing = inOneWrite(client, () => {
    // Nothing else can come between them: they are sent without a pause.
    client.call('multi').catch(onRefusal);
    for (const [name, ...args] of commands) {
      client.call(name, args).catch(onRefusal);
    }
    return client.call('exec');
  });
  let answers: unknown;
  try {
    answers = await executing;
  } catch (error) {
    throw refusal ?? error; // EXECABORT says only that some command was refused
  }
  return answersOf(Array.isArray(answers) ? answers : []);
}

async function transactByPipeline(client: RedisClient, commands: readonly Command[]): Promise<unknown[]> {
  const transaction = client.multi();
  for (const [name, ...args] of commands) {
    transaction.call(name, args);
  }
  const results = (await transaction.exec()) ?? [];
  return answersOf(results.map(([error, answer]) => error ?? answer));
}

function answersOf(answers: readonly unknown[]): unknown[] {
  return answers.map((answer) => {
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  });
}
