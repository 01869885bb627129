import type { CacheEvents } from '../events/index.js';

/** Reports each class whose instances are kept as plain objects, once: a report at each write would be noise. */
export class FlattenedClasses {
  private readonly told = new Set<string>();

  constructor(private readonly events: CacheEvents) {}

  tell(namespace: string, key: string, classNames: readonly string[]): void {
    for (const className of classNames) {
      if (!this.told.has(className)) {
        this.told.add(className);
        this.events.emit('instanceFlattened', { namespace, key, className });
      }
    }
  }
}
