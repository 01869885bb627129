/** Somebody who stands in a line, between whom. */
export interface InLine<Other> {
  isInLine: boolean;
  before: Other | undefined;
  after: Other | undefined;
}

/** Who waits, in the order in which they came. Each knows its neighbours, so that leaving costs no search and no hash. */
export class WaitingLine<Waiter extends InLine<Waiter>> {
  size = 0;
  oldest: Waiter | undefined;
  private newest: Waiter | undefined;

  add(waiter: Waiter): void {
    waiter.isInLine = true;
    waiter.before = this.newest;
    if (this.newest === undefined) {
      this.oldest = waiter;
    } else {
      this.newest.after = waiter;
    }
    this.newest = waiter;
    this.size++;
  }

  /** @returns whether it stood there */
  delete(waiter: Waiter): boolean {
    if (!waiter.isInLine) {
      return false;
    }
    const { before, after } = waiter;
    if (before === undefined) {
      this.oldest = after;
    } else {
      before.after = after;
    }
    if (after === undefined) {
      this.newest = before;
    } else {
      after.before = before;
    }
    waiter.isInLine = false;
    waiter.before = undefined;
    waiter.after = undefined;
    this.size--;
    return true;
  }

  all(): Waiter[] {
    const all: Waiter[] = [];
    for (let waiter = this.oldest; waiter !== undefined; waiter = waiter.after) {
      all.push(waiter);
    }
    return all;
  }
}
