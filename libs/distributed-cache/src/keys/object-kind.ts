/** The length of the prototype chain of `value`: 1 for `{}`, 2 for an array or a `Date`, one more for a subclass's. */
export function countPrototypes(value: object): number {
  let count = 0;
  let prototype = Reflect.getPrototypeOf(value);
  while (prototype !== null) {
    count += 1;
    prototype = Reflect.getPrototypeOf(prototype);
  }
  return count;
}

/**
 * Whether `value` is a record: `{…}`, or an object without a prototype. The number of prototypes, instead of a
 * comparison with `Object.prototype`, also recognizes objects from another realm (`vm`, test runners). The tag excludes
 * `arguments`, `Math` and module namespaces, whose prototypes look the same.
 */
export function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype = Reflect.getPrototypeOf(value);
  const isPlain =
    prototype === null ||
    prototype === Object.prototype ||
    (Reflect.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'));
  return isPlain && Object.prototype.toString.call(value) === '[object Object]';
}

/** Whether `value` has properties under symbols that a copy of it would have, too. */
export function hasEnumerableSymbols(value: object): boolean {
  return Object.getOwnPropertySymbols(value).some((symbol) =>
    Object.prototype.propertyIsEnumerable.call(value, symbol),
  );
}

/** The name of the class of `value`; `''` when the class has none. */
export function classNameOf(value: object): string {
  const { constructor } = value as { constructor?: unknown };
  return typeof constructor === 'function' ? constructor.name : '';
}
