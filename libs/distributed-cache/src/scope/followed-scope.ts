import { AsyncLocalStorage } from 'node:async_hooks';

/** From Node 24 on an `AsyncLocalStorage` costs the promises of the process nothing. */
const IS_FREE = Number(process.versions.node.split('.')[0]) >= 24;

/** So many pieces of work of a process are followed in any case: what is wrong by construction shows at the first ones. */
const FOLLOWED_ANYWAY = 128;

/**
 * A value that work carries: into its synchronous part always, and through everything asynchronous where the work is *followed*.
 * Until Node 24 following one piece of work makes every promise of the process dearer while it runs (twice to three times the processor
 * time of a bare `await`), so there only the first ones are followed and those after a {@link suspect}. When none runs the price is gone.
 */
export class FollowedScope<Value> {
  private readonly storage = new AsyncLocalStorage<Value>();
  private inSynchronousPart: Value | undefined;
  private following = 0;
  private left: number;
  private suspectUntilMs = -Infinity;

  constructor(
    private readonly isFree = IS_FREE,
    followedAnyway = FOLLOWED_ANYWAY,
  ) {
    this.left = followedAnyway;
  }

  get current(): Value | undefined {
    return this.inSynchronousPart ?? (this.following > 0 ? this.storage.getStore() : undefined);
  }

  /** For a while all work is followed. */
  suspect(forMs: number): void {
    this.suspectUntilMs = performance.now() + forMs;
  }

  /** Decides whether work that begins now is followed; if so, {@link endFollowing} must be called when it has ended. */
  beginFollowing(): boolean {
    const isFollowed = this.isFree || this.left > 0 || performance.now() < this.suspectUntilMs;
    if (isFollowed) {
      this.left--;
      this.following++;
    }
    return isFollowed;
  }

  endFollowing(): void {
    this.following--;
    if (this.following === 0 && !this.isFree) {
      this.storage.disable(); // until the next use no promise carries anything along
    }
  }

  run<Result>(value: Value, isFollowed: boolean, work: () => Result): Result {
    const outer = this.inSynchronousPart;
    this.inSynchronousPart = value;
    try {
      return isFollowed ? this.storage.run(value, work) : work();
    } finally {
      this.inSynchronousPart = outer;
    }
  }
}
