import type { TierReplyError } from '../errors/index.js';

/** A command that Redis refuses for now. */
export interface Refusal {
  /** The name of the command, in capital letters. */
  readonly command: string;
  /** The first word of the reply: `NOPERM`, `OOM`, ...; `ERR` for a command that the server does not have. */
  readonly reply: string;
}

interface Noted extends Refusal {
  readonly operations: Set<string>;
}

/** A refusal that ends and comes back within this time, in milliseconds, is not reported again. */
const TOLD_AGAIN_AFTER_MS = 60_000;

/**
 * Keeps track of the commands that Redis refuses, per command and not per key, and reports each refusal once. A later
 * success of the same operation, or of the command alone, ends the refusal.
 */
export class Refusals {
  private readonly noted = new Map<string, Noted>();
  private readonly toldAtMs = new Map<string, number>();

  /**
   * @param onRefused called for each refusal, at most once a minute
   * @param isCluster whether the client follows `MOVED`, as a cluster's client does; any other client is connected to a
   * node that does not have all keys, for as long as the connection lasts
   */
  constructor(
    private readonly onRefused: (refusal: Refusal) => void,
    private readonly isCluster: boolean,
  ) {}

  get areAny(): boolean {
    return this.noted.size > 0;
  }

  /** Whether leases would block loads for nothing: to store under a lease and to release it take scripts. */
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

  /** Ends the refusals of this operation: all its commands have been carried out. */
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

  /** Forgets all refusals: another server answers from now on. */
  clear(): void {
    this.noted.clear();
  }
}
