import type { TierReplyError } from '../errors/index.js';

/** A command that Redis does not carry out for now. */
export interface Refusal {
  /** Its name, in capital letters. */
  readonly command: string;
  /** The first word of the reply: `NOPERM`, `OOM`, ...; `ERR` for a command that the server does not have. */
  readonly reply: string;
}

interface Noted extends Refusal {
  readonly operations: Set<string>;
}

/** A refusal that ends and comes back within this time is not told again. */
const TOLD_AGAIN_AFTER_MS = 60_000;

/**
 * What Redis refuses, per command and not per key: each refusal is told once. A later success of the same operation, or of the command by
 * itself, ends it.
 */
export class Refusals {
  private readonly noted = new Map<string, Noted>();
  private readonly toldAtMs = new Map<string, number>();

  /**
   * @param onRefused told of each refusal, at most once a minute
   * @param isCluster a client of a cluster follows `MOVED`; any other is at a node that does not have all keys, for as long as it is connected
   */
  constructor(
    private readonly onRefused: (refusal: Refusal) => void,
    private readonly isCluster: boolean,
  ) {}

  get areAny(): boolean {
    return this.noted.size > 0;
  }

  /** Whether leases would be in the way: storing under one and giving it back take scripts. */
  get areScriptsRefused(): boolean {
    return this.noted.has('EVAL') || this.noted.has('EVALSHA');
  }

  get all(): readonly Refusal[] {
    return [...this.noted.values()].map(({ command, reply }) => ({ command, reply }));
  }

  note({ operation, command = operation, reply, isRefusal }: TierReplyError): void {
    const isElsewhere = reply === 'MOVED' && !this.isCluster;
    if (!isRefusal && (!isElsewhere || this.all.some((each) => each.reply === reply))) {
      return;
    }
    const earlier = this.noted.get(command);
    this.noted.set(command, { command, reply, operations: (earlier?.operations ?? new Set()).add(operation) });
    const nowMs = performance.now();
    const told = `${command} ${reply}`;
    if (earlier?.reply !== reply && nowMs - (this.toldAtMs.get(told) ?? -Infinity) >= TOLD_AGAIN_AFTER_MS) {
      this.toldAtMs.set(told, nowMs);
      this.onRefused({ command, reply });
    }
  }

  /** All commands of this operation have been carried out. */
  succeed(operation: string): void {
    for (const { command, operations } of this.noted.values()) {
      if (operations.has(operation)) {
        this.allow(command);
      }
    }
  }

  allow(command: string): void {
    if (this.noted.get(command)?.reply !== 'MOVED') {
      this.noted.delete(command);
    }
  }

  /** Another server answers from now on. */
  clear(): void {
    this.noted.clear();
  }
}
