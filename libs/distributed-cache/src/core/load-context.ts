import type { Duration } from '../config/index.js';
import type { LoaderContext } from './entry-options.js';
import { TagRegistry } from './tag-registry.js';

/** One loader run's context, and what the loader decided through it. */
export class LoadContext implements LoaderContext {
  /** What `setTtl` asked for. */
  chosenTtl: Duration | undefined;
  /** What `addTags` asked for, encoded. */
  addedTags: readonly string[] = [];
  /** Whether `skip` was called. */
  isSkipped = false;

  private controller: AbortController | undefined;

  constructor(
    private readonly closing: AbortSignal,
    readonly stale: unknown,
  ) {}

  /** Made only for a loader that looks at it. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    return AbortSignal.any([this.closing, this.controller.signal]);
  }

  abort(reason: Error): void {
    this.controller ??= new AbortController();
    this.controller.abort(reason);
  }

  setTtl(ttl: Duration): void {
    this.chosenTtl = ttl;
  }

  addTags(...tags: string[]): void {
    this.addedTags = [...this.addedTags, ...TagRegistry.namesOf(tags)];
  }

  skip(): void {
    this.isSkipped = true;
  }
}
