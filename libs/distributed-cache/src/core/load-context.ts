import type { Duration } from '../config/index.js';
import type { LoaderTimeoutError } from '../errors/index.js';
import type { LoaderContext } from './entry-options.js';
import type { LoadScope } from './load-scope.js';
import type { LoadSignals } from './load-signals.js';
import { TagRegistry } from './tag-registry.js';

/** One loader run's context, and what the loader decided through it. */
export class LoadContext implements LoaderContext {
  /** What `setTtl` asked for. */
  chosenTtl: Duration | undefined;
  /** What `addTags` asked for, encoded. */
  addedTags: readonly string[] = [];
  /** Whether `skip` was called. */
  isSkipped = false;

  /** The error with which the loader was given up. */
  abortedBy: LoaderTimeoutError | undefined;
  /** Whether the loader's calls are known as its own also after its first `await`. */
  isFollowed = false;

  private controller: AbortController | undefined;
  private hasEnded = false;

  constructor(
    private readonly signals: LoadSignals,
    readonly stale: unknown,
    readonly scope: LoadScope = [],
  ) {}

  /** Made only for a loader that looks at it. */
  get signal(): AbortSignal {
    return (this.controller ?? this.use(new AbortController())).signal;
  }

  /** From now on this load's signal is that of `shared`, which several loads have: a batch is one run for all of its keys. */
  share(shared: AbortController): void {
    if (this.controller?.signal.aborted === true) {
      shared.abort(this.controller.signal.reason);
    }
    this.use(shared);
  }

  abort(reason: LoaderTimeoutError): void {
    this.abortedBy = reason;
    this.controller ??= new AbortController();
    this.end();
    this.controller.abort(reason);
  }

  /** The loader has returned, thrown or been given up: nothing aborts its signal any more. */
  end(): void {
    this.hasEnded = true;
    if (this.controller !== undefined) {
      this.signals.remove(this.controller);
    }
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

  private use(controller: AbortController): AbortController {
    this.controller = controller;
    if (!this.hasEnded) {
      this.signals.add(controller);
    }
    return controller;
  }
}
