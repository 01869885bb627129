/** From this number on, a hash costs less than a search through a list. */
const MANY = 16;

/** The objects that a walk has met. Most values have few, for which a `Set` would be most of the cost of the walk. */
export class SeenObjects {
  private readonly few: object[] = [];
  private many: Set<object> | undefined;

  /** Adds an object. @returns whether it was not there before */
  add(object: object): boolean {
    const { few, many } = this;
    if (many !== undefined) {
      const before = many.size;
      return many.add(object).size > before;
    }
    for (const seen of few) {
      if (seen === object) {
        return false;
      }
    }
    few.push(object);
    if (few.length === MANY) {
      this.many = new Set(few);
    }
    return true;
  }
}
