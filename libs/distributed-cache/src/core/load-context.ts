import type { Duration } from '../config/index.js';
import type { LoaderContext } from './entry-options.js';

/** One loader run's context, and what the loader decided through it. */
export class LoadContext implements LoaderContext {
  /** What `setTtl` asked for. */
  chosenTtl: Duration | undefined;
  /** Whether `skip` was called. */
  isSkipped = false;

  constructor(
    readonly signal: AbortSignal,
    readonly stale: unknown,
  ) {}

  setTtl(ttl: Duration): void {
    this.chosenTtl = ttl;
  }

  skip(): void {
    this.isSkipped = true;
  }
}
