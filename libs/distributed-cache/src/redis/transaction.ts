import { inOneWrite, type RedisClient } from './redis-client.js';
import { isLine, sendAndWait, type Command, type Line } from './wire-command.js';

/**
 * Executes commands in one step (`MULTI` ... `EXEC`), written in one go.
 *
 * The client's own transactions cost several times the processor time of the commands in them. They are left to a cluster, whose
 * client must find the node first, and to an application's client that pipelines by itself or sends again what was cut off: of a
 * transaction that it does not know as one it would send the rest.
 * @returns the answers. @throws the first error among them, or the reason why nothing was executed
 */
export async function transact(client: RedisClient, commands: readonly Command[]): Promise<unknown[]> {
  return isLine(client) ? transactOnLine(client, commands) : transactByPipeline(client, commands);
}

async function transactOnLine(line: Line, commands: readonly Command[]): Promise<unknown[]> {
  let refusal: Error | undefined;
  const onRefusal = (error: Error): void => {
    refusal ??= error;
  };
  const executing = inOneWrite(line, () => {
    // Nothing else can come between them: they are sent without a pause.
    sendAndWait(line, ['multi']).catch(onRefusal);
    for (const command of commands) {
      sendAndWait(line, command).catch(onRefusal);
    }
    return sendAndWait(line, ['exec']);
  });
  let answers: unknown;
  try {
    answers = await executing;
  } catch (error) {
    throw refusal ?? error; // EXECABORT says only that some command was refused
  }
  return answersOf(Array.isArray(answers) ? answers : []).map((answer) =>
    Buffer.isBuffer(answer) ? answer.toString() : answer,
  );
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
