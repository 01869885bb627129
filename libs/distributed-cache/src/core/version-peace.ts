import type { Clock } from '../local/index.js';

/** So long a process that has replaced an entry of another version leaves the key alone if it is of that version again. */
const REPLACE_AGAIN_AFTER_MS = 60_000;
const MAX_KEYS = 10_000;

/**
 * While two versions of an application run side by side, each finds the other's entries to be misses. Would each store its own
 * with every read, both would load all the time. So a process replaces the other's entry of a key once in a minute; in
 * between it keeps what it loads to itself.
 */
export class VersionPeace {
  /** When an entry of another version was replaced last, oldest first. */
  private readonly replaced = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** Whether this process may replace the other version's entry now; if so, it is taken to do it. */
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
