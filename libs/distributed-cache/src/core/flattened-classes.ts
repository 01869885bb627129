import type { CacheEvents } from '../events/index.js';

/** Tells of each class once whose instances are kept as plain objects: at each write it would be noise. */
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
