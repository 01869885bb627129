import { idOf, keysOf, product } from './values.js';

/**
 * What is behind the caches: values that are made once, and one loader that all share, because a closure per call would be
 * the caller's expense. Tell it which key is next and call; after that every call is a hit.
 */
export class Shelf {
  readonly keys: readonly string[];
  private readonly values: ReadonlyMap<string, object>;
  private next = '';
  loads = 0;

  constructor(count: number, valueBytes: number, prefix?: string) {
    this.keys = keysOf(count, prefix);
    this.values = new Map(this.keys.map((key) => [key, product(idOf(key), valueBytes)]));
  }

  readonly load = async (): Promise<object> => {
    this.loads++;
    return this.valueOf(this.next);
  };

  valueOf(key: string): object {
    const value = this.values.get(key);
    if (value === undefined) {
      throw new RangeError(`nothing on the shelf for ${key}`);
    }
    return value;
  }

  /** Calls once for each key, so that the cache behind `call` has all. */
  async fill(call: (key: string) => Promise<unknown>): Promise<void> {
    for (const key of this.keys) {
      this.next = key;
      await call(key);
    }
  }
}
