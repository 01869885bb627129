/** Something that a test holds until it says so, in place of a sleep. */
export class Gate {
  /** Sets the promise free. */
  open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}
