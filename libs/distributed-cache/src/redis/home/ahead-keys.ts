/*
 * Replication is asynchronous: after a write that the primary has acknowledged, a replica may still have the previous
 * value. A key is ahead while this process knows more about it than its home may have: it has written the key, or has
 * read it at the primary. Such a key is read at the primary.
 *
 * The message about a key is no proof that the home has this process's own write: it may be about an earlier write of
 * another process. The proof is the home's position in the history of changes: see `HomeProgress`.
 */

/**
 * For this long after the home has caught up, in milliseconds, its message about a change may still be on its way, on
 * another connection than the answer that says so.
 */
const MESSAGE_MS = 100;

/** Maximum number of keys that are listed; beyond it every key counts as ahead until the home has caught up. */
const MAX_KEYS = 10_000;

/** The keys that are ahead of the home, and how far the home has come. Changes are numbered in their order. */
export class AheadKeys {
  /** The number of the last change of each key, in the order of these numbers. */
  private readonly changes = new Map<string, number>();
  /** The keys that are no longer ahead, and until when the message about them may arrive; the oldest first. */
  private readonly messages = new Map<string, number>();
  private last = 0;
  private reached = 0;
  /** The number of the last change whose key is not listed. */
  private unlisted = 0;

  constructor(private readonly maxKeys = MAX_KEYS) {}

  /** The number of the last change: what is asked of the primary from now on covers it. */
  get lastChange(): number {
    return this.last;
  }

  get size(): number {
    return this.changes.size;
  }

  /** Whether the home may lack a change of this key. */
  has(key: string): boolean {
    // remedy: own-change-is-ahead
    return this.unlisted > this.reached || this.changes.has(key);
  }

  /** Whether a message of the home about this key may be about a change that this process has made, or knows. */
  mayBeReported(key: string, nowMs: number): boolean {
    return this.has(key) || (this.messages.get(key) ?? 0) > nowMs;
  }

  /** Adds keys that this process has changed at the primary, or has read there. */
  add(keys: readonly string[]): void {
    for (const key of keys) {
      this.last++;
      this.changes.delete(key); // moves the key to the end
      if (this.changes.size < this.maxKeys) {
        this.changes.set(key, this.last);
      } else {
        this.unlisted = this.last;
      }
    }
  }

  /** Any key may be ahead: what happened before is not listed. */
  addAll(): void {
    this.unlisted = ++this.last;
  }

  /** The home has everything up to this change. */
  reach(change: number, nowMs: number): void {
    this.reached = Math.max(this.reached, change);
    for (const [key, untilMs] of this.messages) {
      if (untilMs > nowMs) {
        break;
      }
      this.messages.delete(key);
    }
    for (const [key, number] of this.changes) {
      if (number > this.reached) {
        return;
      }
      this.changes.delete(key);
      this.messages.delete(key);
      this.messages.set(key, nowMs + MESSAGE_MS);
    }
  }
}
