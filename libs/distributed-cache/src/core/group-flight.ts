/** A read of several keys: one object watches over all of them, as a rule for nothing. */
export class GroupFlight {
  private readonly overtaken = new Set<string>();
  private areAllOvertaken = false;
  private index: ReadonlySet<string> | undefined;

  constructor(private readonly keys: readonly string[]) {}

  /** The key has changed meanwhile. */
  overtake(key: string): void {
    this.index ??= new Set(this.keys);
    if (this.index.has(key)) {
      this.overtaken.add(key);
    }
  }

  overtakeAll(): void {
    this.areAllOvertaken = true;
  }

  isOvertaken(key: string): boolean {
    return this.areAllOvertaken || this.overtaken.has(key);
  }

  /** One of its keys, as a flight. */
  flightOf(key: string): KeyInGroup {
    return new KeyInGroup(this, key);
  }
}

class KeyInGroup {
  readonly check = undefined;

  constructor(
    private readonly group: GroupFlight,
    private readonly key: string,
  ) {}

  get overtaken(): boolean {
    return this.group.isOvertaken(this.key);
  }
}
