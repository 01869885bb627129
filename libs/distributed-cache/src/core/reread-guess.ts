/** The number of texts that are counted; then the counts are halved, so that older texts count less. */
const WINDOW = 64;
/** While values are kept as they are, one of so many is still kept as text: it shows when values are no longer read again. */
const PROBE_EVERY = 16;
/** Parsing a text costs about three times what keeping it has saved, apart from memory. */
const COST_OF_REREADING = 3;

/**
 * Chooses the form in which L1 keeps a value that was read from Redis: its JSON text or the value itself. The text takes half the
 * memory and needs no walk over the value, but the next reader parses it again. Many values that are read once are never read again
 * (one-hit wonders: Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023), but not in every namespace. So the choice
 * follows the fate of the last texts.
 */
export class RereadGuess {
  private kept = 0;
  private reread = 0;
  private sinceProbe = 0;

  /** Whether the next value should be kept as text. */
  prefersText(): boolean {
    if (this.reread * COST_OF_REREADING <= this.kept) {
      return true;
    }
    this.sinceProbe = (this.sinceProbe + 1) % PROBE_EVERY;
    return this.sinceProbe === 0;
  }

  /** A text is kept. */
  onKept(): void {
    if (++this.kept === WINDOW) {
      this.kept /= 2;
      this.reread /= 2;
    }
  }

  /** A value that was kept as text is read again. */
  onReread(): void {
    this.reread = Math.min(this.reread + 1, this.kept);
  }
}
