/**
 * The signals of the loads under way that have looked at theirs; all are aborted when the cache closes. A signal that follows another
 * (`AbortSignal.any`) stays registered with it for the life of that one, here of the cache, so they are kept in a list that a load
 * leaves when it ends.
 */
export class LoadSignals {
  private readonly controllers = new Set<AbortController>();

  constructor(private readonly closing: AbortSignal) {
    closing.addEventListener('abort', () => this.abortAll(), { once: true });
  }

  /** How many are under way. */
  get size(): number {
    return this.controllers.size;
  }

  add(controller: AbortController): void {
    if (this.closing.aborted) {
      controller.abort(this.closing.reason);
    } else {
      this.controllers.add(controller);
    }
  }

  remove(controller: AbortController): void {
    this.controllers.delete(controller);
  }

  private abortAll(): void {
    const controllers = [...this.controllers];
    this.controllers.clear();
    for (const controller of controllers) {
      controller.abort(this.closing.reason);
    }
  }
}
