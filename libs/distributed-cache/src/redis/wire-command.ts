import type { Command as ClientCommand, Redis } from 'ioredis';
import { inOneWrite, type RedisClient } from './redis-client.js';

/** A command's name, in small letters, and its arguments. */
export type Command = readonly [name: string, ...args: (string | number | Buffer)[]];

/** Told what became of a command: once, and as soon as the reply has been read. */
export interface ReplyListener<Reply = unknown> {
  onReply(reply: Reply): void;
  onFailure(error: Error): void;
}

/** A client whose commands arrive as they were sent, one after the other, or not at all. */
export type Line = Redis;

const lines = new WeakSet<RedisClient>();

/** Whether a client of ours has been found to be one: see `checkLine`. */
export function isLine(client: RedisClient): client is Line {
  return lines.has(client);
}

export function markAsLine(client: Redis): void {
  lines.add(client);
}

/**
 * Sends a command in the form that it has on the wire. Bytes in its reply stay bytes.
 *
 * The client's own `Command` serves every caller: it transforms arguments and replies, copies bytes several times, makes a promise and,
 * for `commandTimeout`, a timer. On the way of every hit that is a tenth of a round trip; of a `set`, more than writing its JSON. Whoever
 * waits for one of these does so under the connection's deadline instead.
 */
export function sendOnLine(line: Line, command: Command, listener: ReplyListener): void {
  const wire = new WireCommand(command, listener);
  try {
    const sent: unknown = line.sendCommand(wire as unknown as ClientCommand);
    if (sent !== wire) {
      wire.follow(sent);
    }
  } catch (error) {
    wire.reject(error as Error); // it may have left all the same: who fails on the way is perhaps a tracer
  }
}

/** As {@link sendOnLine}, with a promise. */
export function sendAndWait(line: Line, command: Command): Promise<unknown> {
  return new Promise((resolve, reject) => sendOnLine(line, command, { onReply: resolve, onFailure: reject }));
}

/**
 * Sends several commands in one write. When the last has been answered, `onAnswered` is told what became of each: a reply, or an
 * `Error`.
 */
export function sendTogether(
  line: Line,
  commands: readonly Command[],
  onAnswered: (outcomes: readonly unknown[]) => void,
): void {
  const outcomes: unknown[] = [];
  let unanswered = commands.length;
  inOneWrite(line, () => {
    commands.forEach((command, place) => {
      // In order as a rule; who wraps the client's commands may answer one of them before its turn.
      const settle = (outcome: unknown): void => {
        outcomes[place] = outcome;
        if (--unanswered === 0) {
          onAnswered(outcomes);
        }
      };
      sendOnLine(line, command, { onReply: settle, onFailure: settle });
    });
  });
}

/**
 * What the client wants of a command: to write it, and to say what became of it. It is its own promise, for who looks at what
 * `sendCommand` returns or wraps `resolve` and `reject`: tracers do.
 */
class WireCommand implements PromiseLike<unknown> {
  isTraced = false;
  readonly inTransaction = false;
  private outcome: Promise<unknown> | undefined;
  private watcher: ReplyListener | undefined;
  private reply: unknown;
  private failure: Error | undefined;
  private isSettled = false;

  readonly name: string;

  constructor(
    private readonly command: Command,
    private readonly listener: ReplyListener,
  ) {
    this.name = command[0];
  }

  /** For errors and tracers: nobody else asks. */
  get args(): unknown[] {
    return this.command.slice(1);
  }

  get promise(): PromiseLike<unknown> {
    return this;
  }

  readonly resolve = (reply: unknown): void => {
    if (this.isSettled) {
      return;
    }
    this.reply = reply;
    this.isSettled = true;
    this.listener.onReply(reply);
    this.watcher?.onReply(reply);
  };

  readonly reject = (error: Error): void => {
    if (this.isSettled) {
      return;
    }
    this.failure = error;
    this.isSettled = true;
    this.listener.onFailure(error);
    this.watcher?.onFailure(error);
  };

  setTimeout(): void {
    // see sendOnLine
  }

  /** Whoever wraps `sendCommand` may answer in Redis's place, or refuse; what they return is not to be left alone if it fails. */
  follow(sent: unknown): void {
    if (isThenable(sent)) {
      Promise.resolve(sent).then(this.resolve, this.reject);
    }
  }

  toWritable(): string | Buffer {
    return writtenOut(this.command);
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is one, for who asks
  then<A = unknown, B = never>(
    onReply?: ((reply: unknown) => A | PromiseLike<A>) | null,
    onFailure?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.asPromise().then(onReply, onFailure);
  }

  catch<B = never>(onFailure?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<unknown> {
    return this.asPromise().catch(onFailure);
  }

  finally(onEnd?: (() => void) | null): Promise<unknown> {
    return this.asPromise().finally(onEnd);
  }

  private asPromise(): Promise<unknown> {
    this.outcome ??= this.isSettled
      ? this.settled()
      : new Promise((resolve, reject) => {
          this.watcher = { onReply: resolve, onFailure: reject };
        });
    return this.outcome;
  }

  private async settled(): Promise<unknown> {
    if (this.failure !== undefined) {
      throw this.failure;
    }
    return this.reply;
  }
}

function isThenable(sent: unknown): sent is PromiseLike<unknown> {
  return typeof sent === 'object' && sent !== null && typeof (sent as { then?: unknown }).then === 'function';
}

/** What stands before an argument of so many bytes, written once for each length that is common. */
const LENGTHS = Array.from({ length: 256 }, (_, bytes) => `$${bytes}\r\n`);

function lengthOf(bytes: number): string {
  return LENGTHS[bytes] ?? `$${bytes}\r\n`;
}

/** RESP: an array of bulk strings; text as long as no argument is bytes. */
function writtenOut(command: Command): string | Buffer {
  let text = `*${command.length}\r\n`;
  let chunks: (string | Buffer)[] | undefined;
  for (const arg of command) {
    if (typeof arg === 'object') {
      (chunks ??= []).push(text + lengthOf(arg.length), arg);
      text = '\r\n';
    } else {
      const argument = typeof arg === 'number' ? String(arg) : arg;
      text += lengthOf(Buffer.byteLength(argument)) + argument + '\r\n';
    }
  }
  return chunks === undefined ? text : joined(chunks, text);
}

function joined(chunks: readonly (string | Buffer)[], last: string): Buffer {
  let size = Buffer.byteLength(last);
  for (const chunk of chunks) {
    size += Buffer.byteLength(chunk);
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const chunk of chunks) {
    at += typeof chunk === 'string' ? bytes.write(chunk, at) : chunk.copy(bytes, at);
  }
  bytes.write(last, at);
  return bytes;
}
