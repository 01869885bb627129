/**
 * A map of which most of the time there is no more than one entry, which comes and goes. V8 makes a map's table anew whenever its last
 * entry leaves, and again when the next ones come: for who reads one key after the other that is dearer than all else that is
 * done with the entry. So an entry that comes alone gets a place of its own.
 */
export class LoneMap<Value> {
  private loneKey = '';
  private lone: Value | undefined;
  private readonly others = new Map<string, Value>();

  get size(): number {
    return this.others.size + (this.lone === undefined ? 0 : 1);
  }

  get(key: string): Value | undefined {
    if (this.lone !== undefined && this.loneKey === key) {
      return this.lone;
    }
    return this.others.size === 0 ? undefined : this.others.get(key);
  }

  /** @param value not `undefined` */
  set(key: string, value: Value): void {
    if (this.lone === undefined ? this.others.size === 0 : this.loneKey === key) {
      this.loneKey = key;
      this.lone = value;
    } else {
      this.others.set(key, value);
    }
  }

  delete(key: string): void {
    if (this.lone !== undefined && this.loneKey === key) {
      this.lone = undefined;
    } else if (this.others.size > 0) {
      this.others.delete(key);
    }
  }

  /** A copy: the map may be changed on the way through it. */
  keys(): string[] {
    return this.lone === undefined ? [...this.others.keys()] : [this.loneKey, ...this.others.keys()];
  }
}
