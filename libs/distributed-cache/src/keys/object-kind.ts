/** How many prototypes lie behind `value`: 1 for `{}`, 2 for an array or a `Date`, one more for a subclass's. */
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
 * Whether `value` is a record: `{…}`, or one without a prototype. Counting prototypes instead of comparing with
 * `Object.prototype` also recognizes objects from another realm (`vm`, test runners). The tag tells `arguments`, `Math`
 * and module namespaces apart, whose prototypes look the same.
 */
export function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype = Reflect.getPrototypeOf(value);
  const isPlain =
    prototype === null ||
    prototype === Object.prototype ||
    (Reflect.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'));
  return isPlain && Object.prototype.toString.call(value) === '[object Object]';
}

/** Properties under symbols that a copy of `value` would have too. */
export function hasEnumerableSymbols(value: object): boolean {
  return Object.getOwnPropertySymbols(value).some((symbol) =>
    Object.prototype.propertyIsEnumerable.call(value, symbol),
  );
}

/** `''` where the class has no name. */
export function classNameOf(value: object): string {
  const { constructor } = value as { constructor?: unknown };
  return typeof constructor === 'function' ? constructor.name : '';
}
