import type { ConnectingWatcher } from './redis-client.js';
import { isBeforeSentinels, outageReason, VAGUE_REASON } from './reply-errors.js';

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
  private isTold = false;
  private isTlsPending = false;

  /** The cause recorded for the present socket, or for the last attempt to open one. */
  get word(): string | undefined {
    return this.lastWord;
  }

  /** Whether a cause was recorded after the last call of {@link tell}. */
  get isNews(): boolean {
    return this.lastWord !== undefined && !this.isTold;
  }

  /** The word for an outage. A cause that is recorded afterwards belongs to the next attempt. */
  tell(fallback: string): string {
    this.isTold = true;
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
    this.isTold = false;
  }

  onSideFault(error: unknown): void {
    this.note(error);
  }

  onTlsPending(isPending: boolean): void {
    this.isTlsPending = isPending;
  }

  private noteWord(reason: string): void {
    const word = this.isTlsPending && (reason === 'timeout' || reason === 'ETIMEDOUT') ? 'tls-timeout' : reason;
    const rank = rankOf(word);
    if (this.lastWord === undefined || (rank > 0 && (this.isTold || rank >= rankOf(this.lastWord)))) {
      this.lastWord = word;
      this.isTold = false;
    }
  }
}

function rankOf(word: string): number {
  if (word === VAGUE_REASON) {
    return 0;
  }
  return UNREACHED.has(word) ? 1 : 2;
}
