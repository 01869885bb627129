import type { AnyClass, ClassOptions } from './value-options.js';

/** Registered with `Symbol.for`: a second copy of this package must still see it. */
const OPTIONS = Symbol.for('nestjs-distributed-cache:class-options');

/**
 * Says on the class itself how its instances are kept; `codec: { classes: { Money } }` takes it from there. Alone it registers
 * nothing: two applications in one process may differ. Subclasses don't inherit it.
 */
export function CachedClass(options: ClassOptions = {}): (type: AnyClass) => void {
  return (type) => {
    Object.defineProperty(type, OPTIONS, { value: Object.freeze({ ...options }) });
  };
}

/** What `@CachedClass` said of this very class. */
export function classOptionsOf(type: AnyClass): ClassOptions {
  const options: unknown = Object.hasOwn(type, OPTIONS) ? Reflect.get(type, OPTIONS) : undefined;
  return typeof options === 'object' && options !== null ? options : {};
}
