/** Lets a limited number of works run at a time; the others wait in the order in which they came. */
export class ScanGate {
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(private readonly limit: number) {}

  /** @throws what `work` throws; the next one starts all the same */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= this.limit) {
      // The work that ends passes its place on, so a later call can't take it in between.
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else {
      this.running += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) {
        next();
      } else {
        this.running -= 1;
      }
    }
  }
}
