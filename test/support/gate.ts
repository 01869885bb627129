/** A promise that a test resolves when it decides to, in place of a sleep. */
export class Gate {
  /** Resolves the promise. */
  open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}
