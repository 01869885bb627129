import type { AnyClass, ClassOptions } from './value-options.js';

/** Made by `Symbol.for`, so that a second copy of this package reads the same property. */
const OPTIONS = Symbol.for('nestjs-distributed-cache:class-options');

/**
 * Declares on the class itself how its instances are stored; `codec: { classes: { Money } }` reads it from there. Alone
 * it registers nothing: two applications in one process may differ. Subclasses don't inherit it.
 */
export function CachedClass(options: ClassOptions = {}): (type: AnyClass) => void {
  return (type) => {
    Object.defineProperty(type, OPTIONS, { value: Object.freeze({ ...options }) });
  };
}

/** The options that `@CachedClass` declares on this class itself. */
export function classOptionsOf(type: AnyClass): ClassOptions {
  const options: unknown = Object.hasOwn(type, OPTIONS) ? Reflect.get(type, OPTIONS) : undefined;
  return typeof options === 'object' && options !== null ? options : {};
}
