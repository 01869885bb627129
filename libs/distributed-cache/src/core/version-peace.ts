import type { Clock } from '../local/index.js';

/**
 * For this long, in milliseconds, a process that has replaced an entry of another version does not replace that key
 * again.
 */
const REPLACE_AGAIN_AFTER_MS = 60_000;
const MAX_KEYS = 10_000;

/**
 * Limits how often two versions of an application that run side by side replace each other's entries. Each version
 * finds the other's entries to be misses; if each stored its own with every read, both would load all the time. So a
 * process replaces the other version's entry of a key once in a minute; in between it keeps what it loads only for its
 * own callers.
 */
export class VersionPeace {
  /** When an entry of another version was last replaced, by key, oldest first. */
  private readonly replaced = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** Whether this process may replace the other version's entry now; if so, the replacement is recorded. */
  mayReplace(key: string): boolean {
    const nowMs = this.clock.nowMs();
    const lastMs = this.replaced.get(key);
    if (lastMs !== undefined && nowMs - lastMs < REPLACE_AGAIN_AFTER_MS) {
      return false;
    }
    this.replaced.delete(key);
    this.replaced.set(key, nowMs);
    if (this.replaced.size > MAX_KEYS) {
      for (const [oldest] of this.replaced) {
        this.replaced.delete(oldest);
        break;
      }
    }
    return true;
  }
}
