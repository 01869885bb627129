import type { Duration } from '../config/index.js';
import type { LoaderTimeoutError } from '../errors/index.js';
import type { LoaderContext } from './entry-options.js';
import type { LoadScope } from './load-cycles.js';
import type { LoadSignals } from './load-signals.js';
import { TagRegistry } from './tag-registry.js';

/** The context of one loader run, and the decisions that the loader made through it. */
export class LoadContext implements LoaderContext {
  /** The TTL that the loader set by `setTtl`. */
  chosenTtl: Duration | undefined;
  /** The tags that the loader added by `addTags`, encoded. */
  addedTags: readonly string[] = [];
  /** Whether the loader called `skip`. */
  isSkipped = false;

  /** The error with which the loader was given up. */
  abortedBy: LoaderTimeoutError | undefined;
  /** Whether calls of the loader are recognized as its own also after its first `await`. */
  isFollowed = false;

  private controller: AbortController | undefined;
  private hasEnded = false;

  constructor(
    private readonly signals: LoadSignals,
    readonly stale: unknown,
    readonly scope: LoadScope = [],
  ) {}

  /** The signal of this run; made only for a loader that reads it. */
  get signal(): AbortSignal {
    return (this.controller ?? this.use(new AbortController())).signal;
  }

  /**
   * Replaces this load's signal by that of `shared`, which several loads have: a batch is one run for all of its keys.
   */
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

  /** Ends the run: the loader has returned, thrown or been given up, and its signal is not aborted later. */
  end(): void {
    this.hasEnded = true;
    if (this.controller !== undefined) {
      this.signals.remove(this.controller);
    }
  }

  /** The load waits for the others of its batch: the time until {@link leaveQueue} does not count as its loader's. */
  enterQueue(): void {
    this.scope.forEach((load) => load.enterQueue());
  }

  /** The loader of the batch begins. */
  leaveQueue(): void {
    this.scope.forEach((load) => load.leaveQueue());
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
