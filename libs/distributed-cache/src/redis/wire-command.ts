import type { Command as ClientCommand, Redis } from 'ioredis';

/** A command: its name, in small letters, and its arguments. */
export type Command = readonly [name: string, ...args: (string | number | Buffer)[]];

/** Receives the outcome of a command: once, and as soon as the reply has been read. */
export interface ReplyListener<Reply = unknown> {
  onReply(reply: Reply): void;
  onFailure(error: Error): void;
}

/**
 * Sends a command in its wire form. Bytes in its reply stay bytes.
 *
 * The client's own `Command` serves every caller: it transforms arguments and replies, copies bytes several times,
 * makes a promise and, for `commandTimeout`, a timer. For a hit that is a tenth of a round trip; for a `set`, more than
 * the serialization of its JSON. The wait for a wire command is limited by the connection's deadline instead.
 */
export function writeCommand(client: Redis, command: Command, listener: ReplyListener): void {
  const wire = new WireCommand(command, listener);
  try {
    const sent: unknown = client.sendCommand(wire as unknown as ClientCommand);
    if (sent !== wire) {
      wire.follow(sent);
    }
  } catch (error) {
    wire.reject(error as Error); // the command may have been sent all the same: the exception may come from a tracer
  }
}

/**
 * A command in the form that the client needs: it can be written, and receives its outcome. It is also its own promise,
 * for tracers, which read what `sendCommand` returns or wrap `resolve` and `reject`.
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

  /** Only error messages and tracers read the arguments. */
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
    // no timer: see writeCommand
  }

  /**
   * Takes the outcome from what a wrapper of `sendCommand` returned. A wrapper may answer in Redis's place, or refuse;
   * a rejection of its promise must be handled.
   */
  follow(sent: unknown): void {
    if (isThenable(sent)) {
      Promise.resolve(sent).then(this.resolve, this.reject);
    }
  }

  toWritable(): string | Buffer {
    return writtenOut(this.command);
  }

  // oxlint-disable-next-line unicorn/no-thenable -- tracers use it as a promise
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

/** What stands before an argument of up to 255 bytes, made once for each length. */
const BEFORE = Array.from({ length: 256 }, (_, bytes) => `\r\n$${bytes}\r\n`);

function before(bytes: number): string {
  return BEFORE[bytes] ?? `\r\n$${bytes}\r\n`;
}

/** Encodes a command as RESP, an array of bulk strings. The result is text unless an argument is bytes. */
function writtenOut(command: Command): string | Buffer {
  let text = `*${command.length}`;
  let chunks: (string | Buffer)[] | undefined;
  for (const arg of command) {
    if (typeof arg === 'object') {
      (chunks ??= []).push(text + before(arg.length), arg);
      text = '';
    } else {
      const argument = typeof arg === 'number' ? String(arg) : arg;
      text += before(Buffer.byteLength(argument)) + argument;
    }
  }
  text += '\r\n';
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
