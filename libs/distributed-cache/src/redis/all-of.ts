/** `Promise.all` that costs a promise an item only where there is one: as a rule all of them are there at once. */
export function allOf<Item>(items: readonly (Item | Promise<Item>)[]): readonly Item[] | Promise<Item[]> {
  return items.some((item) => item instanceof Promise) ? Promise.all(items) : (items as readonly Item[]);
}
