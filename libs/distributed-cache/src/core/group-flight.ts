/** A read of several keys as a flight. One object records the changes of all of them: as a rule there are none. */
export class GroupFlight {
  private readonly overtaken = new Set<string>();
  private areAllOvertaken = false;
  private index: ReadonlySet<string> | undefined;

  constructor(private readonly keys: readonly string[]) {}

  /** This key has changed meanwhile. */
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

  /** The flight of one of its keys. */
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
