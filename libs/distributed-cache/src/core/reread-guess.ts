/** Texts that are looked back on; then the older half counts for half. */
const WINDOW = 64;
/** While values are kept, every so many-th is kept as text all the same: else nobody would find out that they are no longer read. */
const PROBE_EVERY = 16;
/** Making a value of its text costs about three times what keeping the text has saved, memory aside. */
const COST_OF_REREADING = 3;

/**
 * Chooses what memory keeps of the values that one namespace had from Redis: the text, which takes half the room and no walk over the
 * value, but has to be parsed once more for whoever asks next; or the value. Of what is read once a large part is never asked for
 * again (one-hit wonders: Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023), but not everywhere. So the next
 * value expects what became of the last texts.
 */
export class RereadGuess {
  private kept = 0;
  private reread = 0;
  private sinceProbe = 0;

  /** Whether the next value is rather kept as text. */
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

  /** Somebody asks for what has been kept as text. */
  onReread(): void {
    this.reread = Math.min(this.reread + 1, this.kept);
  }
}
