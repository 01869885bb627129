import { destroySocketOf, inOneWrite, type RedisClient } from './redis-client.js';
import { isRefusal, outageReason, UnusableConnectionError } from './reply-errors.js';
import { isLine, sendAndWait, type Command, type Line } from './wire-command.js';

/**
 * Executes commands in one transaction (`MULTI` ... `EXEC`), written in one system call.
 *
 * The client's own transactions cost several times the processor time of the commands in them. They are used only for a
 * cluster, whose client must find the node first, and for an application's client that pipelines by itself or sends
 * again what was cut off: it does not recognize a transaction in wire form, and would send the rest of it again.
 * @returns the answers.
 * @throws the first error among them, or the reason why nothing was executed
 */
export async function transact(client: RedisClient, commands: readonly Command[]): Promise<unknown[]> {
  return isLine(client) ? transactOnLine(client, commands) : transactByPipeline(client, commands);
}

const linesWithoutTransactions = new WeakSet<Line>();

/**
 * Finds out whether this user may run transactions, before any other command is sent. Without transactions, commands
 * are sent in the same order, one by one.
 * @throws UnusableConnectionError after a transaction that could be neither executed nor discarded
 */
export async function probeTransactions(client: RedisClient): Promise<void> {
  if (!isLine(client) || linesWithoutTransactions.has(client)) {
    return;
  }
  const [begun, executed] = await Promise.all(
    inOneWrite(client, () => ['multi', 'exec'].map((name) => sendAndWait(client, [name]).catch(asOutcome))),
  );
  if (!isRefusal(begun) && !isRefusal(executed)) {
    return;
  }
  linesWithoutTransactions.add(client);
  if (!isRefusal(begun) && isRefusal(await sendAndWait(client, ['discard']).catch(asOutcome))) {
    destroySocketOf(client); // the server would queue every command from now on
    throw new UnusableConnectionError('NOPERM');
  }
}

async function sendOneByOne(line: Line, commands: readonly Command[]): Promise<unknown[]> {
  const outcomes = inOneWrite(line, () => commands.map((command) => sendAndWait(line, command).catch(asOutcome)));
  return textsOf(answersOf(await Promise.all(outcomes)));
}

async function transactOnLine(line: Line, commands: readonly Command[]): Promise<unknown[]> {
  if (linesWithoutTransactions.has(line)) {
    return sendOneByOne(line, commands);
  }
  // No other command can come between them: they are sent without a pause.
  const [beginning, queueing, executing] = inOneWrite(line, () => [
    sendAndWait(line, ['multi']).catch(asOutcome),
    commands.map((command) => sendAndWait(line, command).catch(asOutcome)),
    sendAndWait(line, ['exec']),
  ]);
  let answers: unknown;
  try {
    answers = await executing;
  } catch (error) {
    const queued = await Promise.all(queueing);
    if (isRefusal(await beginning) && outageReason(await beginning) !== 'OOM') {
      linesWithoutTransactions.add(line);
      answers = queued; // the right was taken away: each command was executed on its own
    } else {
      throw queued.find((outcome) => outcome instanceof Error) ?? error; // EXECABORT says only that some command was refused
    }
  }
  return textsOf(answersOf(Array.isArray(answers) ? answers : []));
}

function textsOf(answers: readonly unknown[]): unknown[] {
  return answers.map((answer) => (Buffer.isBuffer(answer) ? answer.toString() : answer));
}

function asOutcome(error: Error): Error {
  return error;
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
