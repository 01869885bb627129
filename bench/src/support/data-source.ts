import { idOf, keysOf, product } from './values.js';

/**
 * The data that the caches hold: values that are made in advance, and one loader for all calls, because a new closure per
 * call would be a cost of the caller. During {@link fill} the loader gives the value of the current key.
 */
export class DataSource {
  readonly keys: readonly string[];
  private readonly values: ReadonlyMap<string, object>;
  private current = '';
  loads = 0;

  constructor(count: number, valueBytes: number, prefix?: string) {
    this.keys = keysOf(count, prefix);
    this.values = new Map(this.keys.map((key) => [key, product(idOf(key), valueBytes)]));
  }

  readonly load = async (): Promise<object> => {
    this.loads++;
    return this.valueOf(this.current);
  };

  valueOf(key: string): object {
    const value = this.values.get(key);
    if (value === undefined) {
      throw new RangeError(`no value for ${key}`);
    }
    return value;
  }

  /** Makes one call per key, so that the cache behind `call` holds all keys. */
  async fill(call: (key: string) => Promise<unknown>): Promise<void> {
    for (const key of this.keys) {
      this.current = key;
      await call(key);
    }
  }
}
