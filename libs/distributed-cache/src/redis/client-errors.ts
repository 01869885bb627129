import {
  CacheError,
  TierDisconnectedError,
  TierReplyError,
  TierTimeoutError,
  TierUnavailableError,
} from '../errors/index.js';
import { TOO_MANY_CLIENTS, type ConnectingWatcher } from './redis-client.js';

/** A connection is open, but can't be used for the reason given. */
export class UnusableConnectionError extends Error {
  override readonly name = 'UnusableConnectionError';

  constructor(readonly reason: string) {
    super(reason);
  }
}

/**
 * Error replies that do not depend on the arguments: rights, the server's state, and commands that it does not have.
 * Inside a script a missing right is `The user executing the script can't ...` up to Redis 7.0, and `ACL failure in
 * script: ...` in later versions and Valkey.
 */
const REFUSALS = new RegExp(
  [
    /^(NOPERM|NOAUTH|READONLY|OOM|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|DENIED)\b/,
    /^ERR unknown (sub)?command/,
    /unknown (\w+ )?command called from/,
    /user executing the script|ACL failure in script|not allowed from script/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);

/** Whether an error reply of Redis, as the client throws it, does not depend on the arguments. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError' && REFUSALS.test(reasonOf(error, error.message));
}

/** The first words of refusals that last until rights are granted: `ERR` is a command that the server does not have. */
const UNTIL_GRANTED: ReadonlySet<string> = new Set(['NOPERM', 'ERR']);

/** Whether an error says that this user may not run the command, or that the server does not have it. */
export function isForbidden(error: unknown): boolean {
  return error instanceof TierReplyError
    ? error.isRefusal && UNTIL_GRANTED.has(error.reply)
    : isRefusal(error) && UNTIL_GRANTED.has(outageReason(error));
}

/** How long a forbidden command is not sent, in milliseconds. */
const FORBIDDEN_MS = 60_000;

/**
 * A command that the cache can replace by others, or do without. Where it is forbidden it is not sent for a minute, and
 * then tried again: the right to it may have been granted.
 */
export class DispensableCommand {
  private readonly forbiddenUntilMs = new WeakMap<object, number>();

  /** @param place the client, or the connection, on which the command is sent */
  maySend(place: object): boolean {
    const untilMs = this.forbiddenUntilMs.get(place);
    return untilMs === undefined || performance.now() >= untilMs;
  }

  forbid(place: object): void {
    this.forbiddenUntilMs.set(place, performance.now() + FORBIDDEN_MS);
  }
}

/**
 * Whether a server that answers this serves no command on a key for now: it reads its data, runs a script without end,
 * or is a replica that has lost its master and returns no old data.
 */
export function servesNothing(reply: string): boolean {
  return reply === 'LOADING' || reply === 'BUSY' || reply === 'MASTERDOWN';
}

/**
 * The name of the command that was refused, in capital letters. Only the name is returned: a message could hold a key.
 */
export function refusedCommand(error: unknown): string | undefined {
  const { command, previousErrors } = error as {
    command?: { readonly name?: unknown };
    previousErrors?: readonly { readonly command?: { readonly name?: unknown } }[];
  };
  const name = (previousErrors?.[0]?.command ?? command)?.name;
  return typeof name === 'string' && /^[a-z]+$/i.test(name) ? name.toUpperCase() : undefined;
}

/**
 * Turns an error of the client into one of this library's errors. The client's error is not kept as `cause`: a
 * `ReplyError` carries the whole command, so a cached value or a password would end up in a log.
 */
export function toTierError(operation: string, error: unknown, timeoutMs: number): CacheError {
  if (error instanceof CacheError) {
    return error;
  }
  const { name, message } = error instanceof Error ? error : { name: '', message: '' };
  if (name === 'ReplyError') {
    const reason = reasonOf(error, message);
    return new TierReplyError(operation, firstWord(reason), refusedCommand(error), REFUSALS.test(reason));
  }
  if (message === 'Command timed out') {
    return new TierTimeoutError(operation, timeoutMs);
  }
  if (/^(Stream isn't writeable|Cluster isn't ready)/.test(message)) {
    return new TierUnavailableError(operation, 'not-connected');
  }
  return new TierDisconnectedError(operation);
}

/** The word for an error that does not name its cause. */
export const VAGUE_REASON = 'connection-error';

/**
 * Names the cause of a failed connection in one word: `ECONNREFUSED`, `WRONGPASS`, `CERT_HAS_EXPIRED`, ... Only error
 * codes and Redis's error words are passed on; a message could hold the address with its password.
 */
export function outageReason(error: unknown): string {
  if (typeof error !== 'object' || error === null) {
    return 'unknown';
  }
  if (error instanceof UnusableConnectionError) {
    return error.reason;
  }
  const { code, name, message, lastNodeError } = error as {
    code?: unknown;
    name?: unknown;
    message?: unknown;
    lastNodeError?: unknown;
  };
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code)) {
    return code;
  }
  if (name === 'ReplyError' && typeof message === 'string') {
    return causeOfReply(reasonOf(error, message));
  }
  if (name === 'ParserError' && typeof message === 'string') {
    return message.includes(TLS_ALERT) ? 'tls-required' : 'not-redis';
  }
  if (lastNodeError !== undefined && lastNodeError !== null) {
    return outageReason(lastNodeError);
  }
  return typeof message === 'string' ? causeIn(message) : VAGUE_REASON;
}

/** Whether the error says that none of the Sentinels has named a master. */
export function isOfAllSentinels(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith('All sentinels are unreachable');
}

/**
 * Whether the error only announces a new round of the Sentinels: the client (ioredis 5.11) emits the same message after
 * the loss of a connection, before it asks them again, but then without a last error.
 */
export function isBeforeSentinels(error: unknown): boolean {
  return isOfAllSentinels(error) && !error.message.includes('Last error');
}

/** The form in which the parser of replies quotes the first byte of a TLS alert. */
const TLS_ALERT = String.raw`"\u0015"`;

/** The cause in an error reply, in one word. A reply that begins with `ERR` has its cause in its text. */
function causeOfReply(message: string): string {
  if (/cluster support disabled|unknown command .cluster/i.test(message)) {
    return 'not-a-cluster';
  }
  return message.includes(TOO_MANY_CLIENTS) ? 'max-clients' : firstWord(message);
}

/**
 * The cause in an error that is only text, as a client with Sentinels makes them. Only words of this list are passed
 * on.
 */
function causeIn(message: string): string {
  const word =
    /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|WRONGPASS|NOAUTH|NOPERM|DENIED)\b/.exec(
      message,
    );
  if (word?.[1] !== undefined) {
    return word[1];
  }
  if (/No such master with that name|got an invalid reply/.test(message)) {
    return 'unknown-master';
  }
  if (/unknown command .sentinel/i.test(message)) {
    return 'not-a-sentinel';
  }
  if (message.includes(TOO_MANY_CLIENTS)) {
    return 'max-clients';
  }
  // A cluster emits the last of these when a node does not answer for its slots.
  return /Command timed out$|^timeout$/.test(message) ? 'timeout' : VAGUE_REASON;
}

/** Begins the reply to an `EXEC` that was refused itself (since Redis 6.2). The cause follows. */
const ABORTED = 'EXECABORT Transaction discarded because of: ';

/**
 * The message with the cause. A transaction that was aborted reports only that; the cause is in the reply to the
 * command that was refused.
 */
function reasonOf(error: unknown, message: string): string {
  const { previousErrors } = error as { previousErrors?: readonly Error[] };
  const reason = previousErrors?.[0]?.message ?? message;
  return reason.startsWith(ABORTED) ? reason.slice(ABORTED.length) : reason;
}

/** The error word of a reply: `OOM command not allowed ...` is `OOM`; a reply without such a word is `ERR`. */
function firstWord(message: string): string {
  return /^[A-Z][A-Z0-9_]*\b/.exec(message)?.[0] ?? 'ERR';
}

/** Error codes that say that a server was not reached. An error reply of a server that was reached says more. */
const UNREACHED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'timeout',
]);

/**
 * Finds out why a client has no connection, in one word. A client with Sentinels or a cluster tries several servers,
 * and its own errors do not carry the causes: so errors of its additional connections are recorded as well. Of several
 * causes in one round, the error reply of a server has priority.
 */
export class ConnectionFault implements ConnectingWatcher {
  private lastWord: string | undefined;
  private isReported = false;
  private isTlsPending = false;
  private isLoginUnused = false;

  /** @param onFirstUnusedLogin called once, when a server has no use for the login */
  constructor(private readonly onFirstUnusedLogin = (): void => {}) {}

  /** The cause recorded for the present socket, or for the last attempt to open one. */
  get word(): string | undefined {
    return this.lastWord;
  }

  /** Whether a cause was recorded after the last call of {@link report}. */
  get isNews(): boolean {
    return this.lastWord !== undefined && !this.isReported;
  }

  /** The word for an outage. A cause that is recorded afterwards belongs to the next attempt. */
  report(fallback: string): string {
    this.isReported = true;
    return this.lastWord ?? fallback;
  }

  note(error: unknown): void {
    if (!isBeforeSentinels(error)) {
      this.noteWord(outageReason(error));
    }
  }

  /**
   * The server has not answered within the time for opening a connection. A cause that was recorded before says more,
   * and stays.
   */
  noteTimeout(): void {
    if (this.lastWord === undefined) {
      this.noteWord('timeout');
    }
  }

  /** A socket is open, and the TLS handshake, if there is one, is done. */
  clear(): void {
    this.lastWord = undefined;
    this.isReported = false;
  }

  onSideFault(error: unknown): void {
    this.note(error);
  }

  onTlsPending(isPending: boolean): void {
    this.isTlsPending = isPending;
  }

  onLoginUnused(): void {
    if (!this.isLoginUnused) {
      this.isLoginUnused = true;
      this.onFirstUnusedLogin();
    }
  }

  private noteWord(reason: string): void {
    const word = this.isTlsPending && (reason === 'timeout' || reason === 'ETIMEDOUT') ? 'tls-timeout' : reason;
    const rank = rankOf(word);
    if (this.lastWord === undefined || (rank > 0 && (this.isReported || rank >= rankOf(this.lastWord)))) {
      this.lastWord = word;
      this.isReported = false;
    }
  }
}

/** Whether the reason of an outage says more than that a server is not connected or does not answer. */
export function isTelling(reason: string): boolean {
  return reason !== 'connection-closed' && reason !== 'not-connected' && rankOf(reason) > 1;
}

function rankOf(word: string): number {
  if (word === VAGUE_REASON) {
    return 0;
  }
  return UNREACHED.has(word) ? 1 : 2;
}
