/**
 * `Promise.all` for items that may already be values: when none of them is a promise, the items are returned as they
 * are. That saves one promise per item.
 */
export function allOf<Item>(items: readonly (Item | Promise<Item>)[]): readonly Item[] | Promise<Item[]> {
  return items.some((item) => item instanceof Promise) ? Promise.all(items) : (items as readonly Item[]);
}
