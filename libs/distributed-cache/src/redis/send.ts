import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { connectionOf, destroySocketOf, inOneWrite, type RedisClient } from './redis-client.js';
import { DispensableCommand, isForbidden, refusedCommand, UnusableConnectionError } from './client-errors.js';
import { writeCommand, type Command, type ReplyListener } from './wire-command.js';

export type { Command, ReplyListener } from './wire-command.js';

/** The outcome of each command, in order: its reply, or the `Error` that came in place of it. */
export type Outcomes = readonly unknown[];

/** Commands that are sent together, and what their outcomes mean. */
export interface Request<Result> {
  readonly commands: readonly Command[];
  /** Whether the commands are one transaction. Default false: commands of other clients may come between them. */
  readonly atomic?: boolean | undefined;
  /** @throws Error the one for which the request has failed */
  readonly resultOf: (outcomes: Outcomes) => Result;
  /** The request to send in place of one that has failed, for instance for a user with fewer rights. */
  readonly insteadOf?: (failure: Error) => Request<Result> | undefined;
}

/** Sends commands on one client. The contract of both implementations is tested in `send.spec.ts`. */
export interface Sender {
  /**
   * Sends commands in one write and in this order.
   *
   * With `atomic` they are one transaction (`MULTI` ... `EXEC`). When none of them was executed, each outcome is the
   * reason. For a user without the right to transactions they are sent one by one, in the same order.
   * @param onAnswered called once, when the last command has its outcome. Bytes in a reply stay bytes; in a transaction
   * they become text
   */
  execute(
    commands: readonly Command[],
    options: { readonly atomic?: boolean | undefined },
    onAnswered: (outcomes: Outcomes) => void,
  ): void;
}

/** Sends something on a client and reports the outcome to the listener, once. It may throw instead. */
export type Send<Result> = (client: RedisClient, listener: ReplyListener<Result>) => void;

/** Reports the outcome of a promise to the listener. */
export function viaPromise<Result>(send: (client: RedisClient) => Promise<Result>): Send<Result> {
  return (client, listener) => {
    send(client).then(
      (result) => listener.onReply(result),
      (error: unknown) => listener.onFailure(asOutcome(error)),
    );
  };
}

/** `MULTI` and `EXEC`: without them the commands of a transaction are sent one by one. */
const TRANSACTIONS = new DispensableCommand();

/** Whether a transaction is still open after this reply to its `EXEC`. A server since Redis 6.2 ends one that it aborts. */
function isLeftOpen(executed: unknown): boolean {
  return isForbidden(executed) && !(executed as Error).message.startsWith('EXECABORT');
}

/** What both implementations have in common: they do without transactions where those are forbidden. */
abstract class TransactionSender<Client extends RedisClient> implements Sender {
  private mayTransact = true;

  constructor(protected readonly client: Client) {}

  execute(
    commands: readonly Command[],
    { atomic = false }: { readonly atomic?: boolean | undefined },
    onAnswered: (outcomes: Outcomes) => void,
  ): void {
    if (!atomic) {
      this.send(commands, onAnswered);
    } else if (this.mayTransact) {
      this.transact(commands, onAnswered);
    } else {
      this.sendSingly(commands, onAnswered);
      if (TRANSACTIONS.maySend(this.client)) {
        void this.tryAgain();
      }
    }
  }

  /**
   * Finds out whether this user may run transactions, before any other command is sent on the connection.
   * @throws UnusableConnectionError after a transaction that could be neither executed nor discarded
   */
  abstract probeTransactions(): Promise<void>;

  protected abstract send(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void;

  protected abstract transact(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void;

  /** As {@link probeTransactions}, while other commands are sent, which must not become part of the transaction. */
  protected abstract tryAgain(): Promise<void>;

  protected sendSingly(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void {
    this.send(commands, (outcomes) => onAnswered(outcomes.map(textOf)));
  }

  /** @param failures the errors of the commands of an empty transaction */
  protected learn(...failures: readonly unknown[]): void {
    this.mayTransact = !failures.some(isForbidden);
    if (!this.mayTransact) {
      TRANSACTIONS.forbid(this.client);
    }
  }
}

/**
 * Sends commands in their wire form, written by {@link writeCommand}: a promise and a timer of the client for each
 * command would cost a hit in Redis more than the read of its entry. Only for clients that {@link allowDirect} has
 * named.
 *
 * Transactions are written in one system call. The client's own transactions cost several times the processor time of
 * the commands in them.
 */
class DirectSender extends TransactionSender<Redis> {
  async probeTransactions(): Promise<void> {
    const [begun, executed] = await this.outcomesOf([['multi'], ['exec']]);
    this.learn(begun, executed);
    if (!isForbidden(begun) && isLeftOpen(executed) && isForbidden((await this.outcomesOf([['discard']]))[0])) {
      destroySocketOf(this.client); // the server would queue every command from now on
      throw new UnusableConnectionError('NOPERM');
    }
  }

  protected async tryAgain(): Promise<void> {
    TRANSACTIONS.forbid(this.client); // one attempt at a time
    const [begun, executed, discarded] = await this.outcomesOf([['multi'], ['exec'], ['discard']]);
    this.learn(begun, executed);
    if (!isForbidden(begun) && isLeftOpen(executed) && isForbidden(discarded)) {
      destroySocketOf(this.client);
    }
  }

  private outcomesOf(commands: readonly Command[]): Promise<Outcomes> {
    return new Promise((resolve) => this.send(commands, resolve));
  }

  protected send(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void {
    const { client } = this;
    const outcomes: unknown[] = [];
    let unanswered = commands.length;
    const write = (command: Command, place: number): void => {
      // Replies arrive in order as a rule, but a wrapper of the client's commands may answer one of them out of order.
      const settle = (outcome: unknown): void => {
        outcomes[place] = outcome;
        if (--unanswered === 0) {
          onAnswered(outcomes);
        }
      };
      writeCommand(client, command, { onReply: settle, onFailure: settle });
    };
    if (commands.length === 1) {
      commands.forEach(write);
    } else {
      inOneWrite(client, () => commands.forEach(write));
    }
  }

  /** No other command of this client can come between those of the transaction: they are sent without a pause. */
  protected transact(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void {
    this.send([['multi'], ...commands, ['exec']], (outcomes) => {
      const [begun, executed] = [outcomes[0], outcomes.at(-1)];
      const queued = outcomes.slice(1, -1);
      if (!(executed instanceof Error)) {
        onAnswered(Array.isArray(executed) ? executed.map(textOf) : []);
      } else if (isForbidden(begun)) {
        this.learn(begun);
        onAnswered(queued.map(textOf)); // the right was taken away: each command was executed on its own
      } else if (isForbidden(executed) && !queued.some((outcome) => outcome instanceof Error)) {
        this.learn(executed);
        if (isLeftOpen(executed)) {
          destroySocketOf(this.client); // the commands that follow are queued, and not executed
        }
        this.sendSingly(commands, onAnswered); // none was executed
      } else {
        // EXECABORT says only that some command was refused.
        const reason = queued.find((outcome) => outcome instanceof Error) ?? executed;
        onAnswered(commands.map(() => reason));
      }
    });
  }
}

/**
 * Sends commands by the methods of the client: for a cluster, whose client must find the node first, and for a client
 * that pipelines by itself or sends again what was cut off. Such a client does not recognize a transaction in wire
 * form, and would send the rest of it again.
 */
class ClientSender extends TransactionSender<RedisClient> {
  async probeTransactions(): Promise<void> {
    this.learn(
      await this.client
        .multi()
        .exec()
        .catch((error: unknown) => error),
    );
  }

  protected tryAgain(): Promise<void> {
    TRANSACTIONS.forbid(this.client); // one attempt at a time
    return this.probeTransactions(); // the client keeps the commands of a transaction together
  }

  protected send(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void {
    const sending = inOneWrite(this.client, () => commands.map((command) => this.call(command).catch(asOutcome)));
    void Promise.all(sending).then(onAnswered);
  }

  protected transact(commands: readonly Command[], onAnswered: (outcomes: Outcomes) => void): void {
    this.run(commands).then(onAnswered, (error: unknown) => {
      if (isForbidden(error) && isOfTransactions(error)) {
        this.learn(error);
        this.sendSingly(commands, onAnswered); // the server may have executed each of them, and the client drops its answers
      } else {
        const reason = asOutcome(error);
        onAnswered(commands.map(() => reason));
      }
    });
  }

  /** `callBuffer` would be shorter, but loses the name of the command on a client that pipelines by itself. */
  private async call([name, ...args]: Command): Promise<unknown> {
    return (this.client as unknown as ClientMethods)[`${name}Buffer`]?.(...args);
  }

  private async run(commands: readonly Command[]): Promise<Outcomes> {
    const transaction = this.client.multi();
    for (const [name, ...args] of commands) {
      transaction.call(name, args);
    }
    const results = (await transaction.exec()) ?? [];
    return results.map(([error, reply]) => error ?? reply);
  }
}

function isOfTransactions(failure: unknown): boolean {
  const command = refusedCommand(failure);
  return command === 'MULTI' || command === 'EXEC';
}

type ClientMethods = Readonly<Record<string, ((...args: readonly unknown[]) => Promise<unknown>) | undefined>>;

const senders = new WeakMap<RedisClient, TransactionSender<RedisClient>>();

/** The sender of this client: direct if {@link allowDirect} has been called, else by the client's own methods. */
export function senderOf(client: RedisClient): TransactionSender<RedisClient> {
  let sender = senders.get(client);
  if (sender === undefined) {
    sender = new ClientSender(client);
    senders.set(client, sender);
  }
  return sender;
}

/**
 * Makes the sender of this client a direct one. Its commands must arrive in the order in which they were sent, or not
 * at all: see `checkDirect`.
 */
export function allowDirect(client: Redis): void {
  senders.set(client, new DirectSender(client));
}

/** Whether commands are sent directly on this client, and so arrive in the order in which they were sent. */
export function isDirect(client: RedisClient): boolean {
  return senders.get(client) instanceof DirectSender;
}

/**
 * Finds out whether this user may run transactions, before any other command is sent.
 * @throws UnusableConnectionError after a transaction that could be neither executed nor discarded
 */
export async function probeTransactions(client: RedisClient): Promise<void> {
  await senderOf(client).probeTransactions();
}

/** Sends a request and reports the result to the listener. If it fails, the request that it names instead is sent. */
export function ask<Result>(client: RedisClient, request: Request<Result>, listener: ReplyListener<Result>): void {
  senderOf(client).execute(request.commands, request, (outcomes) => {
    let result: Result;
    try {
      result = request.resultOf(outcomes);
    } catch (error) {
      const failure = asOutcome(error);
      const next = request.insteadOf?.(failure);
      if (next === undefined) {
        listener.onFailure(failure);
      } else {
        ask(client, next, listener);
      }
      return;
    }
    listener.onReply(result);
  });
}

/** Sends a request as {@link ask} does, and returns a promise of its result. */
export function sendRequest<Result>(client: RedisClient, request: Request<Result>): Promise<Result> {
  return new Promise((resolve, reject) => ask(client, request, { onReply: resolve, onFailure: reject }));
}

/** Sends requests in one write. @returns their results, in order; rejects with the first failure */
export function sendTogether<Result>(client: RedisClient, requests: readonly Request<Result>[]): Promise<Result[]> {
  return Promise.all(inOneWrite(client, () => requests.map((request) => sendRequest(client, request))));
}

/** The same request, with a request to send in its place if it fails and names none itself. */
export function orElse<Result>(
  request: Request<Result>,
  next: (failure: Error) => Request<Result> | undefined,
): Request<Result> {
  const { commands, atomic, resultOf } = request;
  return {
    commands,
    atomic,
    resultOf,
    insteadOf: (failure) => {
      const other = request.insteadOf?.(failure);
      return other === undefined ? next(failure) : orElse(other, next);
    },
  };
}

/** The same request; `onResult` receives the result. */
export function observed<Result>(request: Request<Result>, onResult: (result: Result) => void): Request<Result> {
  const { commands, atomic } = request;
  return {
    commands,
    atomic,
    resultOf: (outcomes) => {
      const result = request.resultOf(outcomes);
      onResult(result);
      return result;
    },
    insteadOf: (failure) => {
      const other = request.insteadOf?.(failure);
      return other && observed(other, onResult);
    },
  };
}

/** A Lua script, and the SHA-1 by which a server that has run it finds it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

export function scriptOf(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

export type ScriptArguments = readonly [
  numberOfKeys: number,
  ...keysAndArguments: readonly (string | number | Buffer)[],
];

/** The scripts that were sent on a connection, by their SHA-1. */
const scriptsSent = new WeakMap<object, Set<string>>();

/**
 * A request whose first command runs a script. The text of the script is sent with its first use on each connection: to
 * try the hash first would cost a round trip. It is sent again to a server that has forgotten it.
 */
export function runScript<Result>(
  client: RedisClient,
  { text, sha }: Script,
  args: ScriptArguments,
  resultOf: (outcomes: Outcomes) => Result,
  after: readonly Command[] = [],
): Request<Result> {
  const withText = (): Request<Result> => ({ commands: [['eval', text, ...args], ...after], resultOf });
  if (!isSentBefore(connectionOf(client), sha)) {
    return withText();
  }
  return {
    commands: [['evalsha', sha, ...args], ...after],
    resultOf,
    insteadOf: ({ message }) => (message.startsWith('NOSCRIPT') ? withText() : undefined),
  };
}

function isSentBefore(connection: object, sha: string): boolean {
  const sent = scriptsSent.get(connection);
  if (sent === undefined) {
    scriptsSent.set(connection, new Set([sha]));
    return false;
  }
  const isKnown = sent.has(sha);
  sent.add(sha);
  return isKnown;
}

/** @throws the first error among the outcomes */
export function requireAll(outcomes: Outcomes): Outcomes {
  for (const outcome of outcomes) {
    if (outcome instanceof Error) {
      throw outcome;
    }
  }
  return outcomes;
}

/** The result of a request whose replies say nothing more. @throws the first error among the outcomes */
export function requireDone(outcomes: Outcomes): void {
  requireAll(outcomes);
}

function textOf(outcome: unknown): unknown {
  return Buffer.isBuffer(outcome) ? outcome.toString() : outcome;
}

function asOutcome(error: unknown): Error {
  return error instanceof Error ? error : new Error('unknown error of the client');
}
