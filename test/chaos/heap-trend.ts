import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

interface Sample {
  readonly atMinutes: number;
  readonly bytes: number;
}

/** The heap of this process, each time after a garbage collection. */
export class HeapTrend {
  readonly #collectGarbage: () => void;
  readonly #samples: Sample[] = [];

  constructor() {
    setFlagsFromString('--expose-gc');
    this.#collectGarbage = runInNewContext('gc') as () => void;
  }

  sample(): void {
    this.#collectGarbage();
    this.#samples.push({ atMinutes: performance.now() / 60_000, bytes: process.memoryUsage().heapUsed });
  }

  get firstBytes(): number {
    return this.#samples[0]?.bytes ?? 0;
  }

  get lastBytes(): number {
    return this.#samples.at(-1)?.bytes ?? 0;
  }

  /** The slope of the straight line through the later two thirds: the initial filling is not growth. */
  get bytesPerMinute(): number {
    const later = this.#samples.slice(Math.floor(this.#samples.length / 3));
    const mean = (of: (sample: Sample) => number): number =>
      later.reduce((sum, sample) => sum + of(sample), 0) / later.length;
    const [middle, level] = [mean(({ atMinutes }) => atMinutes), mean(({ bytes }) => bytes)];
    const product = mean(({ atMinutes, bytes }) => (atMinutes - middle) * (bytes - level));
    const variance = mean(({ atMinutes }) => (atMinutes - middle) ** 2);
    return variance === 0 ? 0 : product / variance;
  }
}
