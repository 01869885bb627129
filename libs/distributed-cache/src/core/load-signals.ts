/**
 * The signals of the loads under way whose loaders have read them; all are aborted when the cache closes. A signal that
 * follows another (`AbortSignal.any`) stays registered with it for the life of the other, here the cache's. So the
 * signals are kept in a set, and removed when their load ends.
 */
export class LoadSignals {
  private readonly controllers = new Set<AbortController>();

  constructor(private readonly closing: AbortSignal) {
    closing.addEventListener('abort', () => this.abortAll(), { once: true });
  }

  /** Number of signals. */
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
