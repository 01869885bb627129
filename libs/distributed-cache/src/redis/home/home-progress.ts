import { REAL_TIME } from '../deadline.js';
import type { AheadKeys } from './ahead-keys.js';

/** A place in the history of changes of a primary, as `INFO replication` reports it. */
export interface Position {
  /** The id of the history; another primary has another. */
  readonly history: string;
  /** How many bytes of the history there are (at the primary), or have been applied (at a replica). */
  readonly offset: number;
}

/** Asks the two servers for their positions. */
export interface Positions {
  ofPrimary(): Promise<Position>;
  /** Rejects as well when the server is no replica any more. */
  ofHome(): Promise<Position>;
}

export interface ProgressListener {
  /** The home has everything that the primary had at a moment. */
  onProven(): void;
  /** The home has not caught up in time, or follows another primary. The comparison has ended. */
  onFailed(reason: string): void;
}

const FIRST_PAUSE_MS = 1;
const MOST_PAUSE_MS = 50;

/**
 * Compares the position of the home with that of the primary. A replica can't tell that it is deaf: its link may be cut
 * and look open for a minute. So the primary is asked how long its history is, and the home must reach that place within
 * `maxLagMs`. Then the home has every change that the primary had acknowledged before the question, whichever process
 * made it, and it has sent the messages about them.
 *
 * One comparison at a time: requests that come meanwhile share the next one, so that a burst of writes costs one
 * question per round trip.
 */
export class HomeProgress {
  /** The last moment of which the home is known to have everything that the primary had, by the monotonic clock. */
  provenAtMs = -Infinity;
  /** The most that the home lagged behind at the last comparison, in milliseconds; `undefined` before it. */
  lagMs: number | undefined;
  private isRunning = false;
  private isWanted = false;
  private isStopped = false;
  private wake: (() => void) | undefined;

  constructor(
    private readonly ahead: AheadKeys,
    private readonly positions: Positions,
    private readonly maxLagMs: number,
    private readonly listener: ProgressListener,
    private readonly nowMs: () => number = () => REAL_TIME.nowMs(),
  ) {}

  /** Compares the positions, now or after the comparison that is under way. */
  request(): void {
    this.isWanted = true;
    if (!this.isRunning && !this.isStopped) {
      void this.run();
    }
  }

  /** A message of the home has arrived: it has applied something. */
  onMessage(): void {
    this.wake?.();
  }

  stop(): void {
    this.isStopped = true;
    this.wake?.();
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (this.isWanted && !this.isStopped) {
      this.isWanted = false;
      const failure = await this.compare();
      if (failure !== undefined && !this.isStopped) {
        // remedy: deaf-home-is-left
        this.listener.onFailed(failure);
        break;
      }
    }
    this.isRunning = false;
  }

  /** @returns why the home can't be used; `undefined` if it can, or the primary does not answer */
  private async compare(): Promise<string | undefined> {
    const change = this.ahead.lastChange;
    const askedAtMs = this.nowMs();
    let wanted: Position;
    try {
      wanted = await this.positions.ofPrimary();
    } catch (error) {
      return isRefused(error) ? 'the primary refuses INFO' : undefined; // the outage of the primary ends the home anyway
    }
    const answeredAtMs = this.nowMs();
    const failure = await this.untilReached(wanted, answeredAtMs + this.maxLagMs);
    if (failure === undefined && !this.isStopped) {
      this.ahead.reach(change, this.nowMs());
      this.provenAtMs = askedAtMs;
      this.lagMs = this.nowMs() - (askedAtMs + answeredAtMs) / 2;
      this.listener.onProven();
    }
    return failure;
  }

  private async untilReached(wanted: Position, dueAtMs: number): Promise<string | undefined> {
    let pauseMs = FIRST_PAUSE_MS;
    let failure = 'lag';
    do {
      try {
        const { history, offset } = await this.positions.ofHome();
        if (history !== wanted.history) {
          failure = 'another primary';
        } else if (offset >= wanted.offset) {
          return undefined;
        } else {
          failure = 'lag';
        }
      } catch (error) {
        failure = error instanceof NoReplicaError ? error.message : isRefused(error) ? 'INFO refused' : 'no answer';
      }
      await this.pause(pauseMs);
      pauseMs = Math.min(2 * pauseMs, MOST_PAUSE_MS);
    } while (!this.isStopped && this.nowMs() < dueAtMs);
    return failure;
  }

  /** Waits, or until the next message of the home. */
  private pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      timer.unref();
      this.wake = () => {
        this.wake = undefined;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The server is a primary, or has lost the link to its primary. */
export class NoReplicaError extends Error {}

function isRefused(error: unknown): boolean {
  return error instanceof Error && 'isRefusal' in error && error.isRefusal === true;
}

/** The fields of a reply to `INFO`. */
export function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split('\r\n').flatMap((line) => {
      const colonAt = line.indexOf(':');
      return colonAt < 0 ? [] : [[line.slice(0, colonAt), line.slice(colonAt + 1)] as const];
    }),
  );
}

/** The position of a primary. @param info its reply to `INFO replication` */
export function positionOfPrimary(info: string): Position {
  const fields = fieldsOf(info);
  return { history: fields.get('master_replid') ?? '', offset: Number(fields.get('master_repl_offset') ?? Infinity) };
}

/** The position of a replica. @throws NoReplicaError if it is none */
export function positionOfReplica(info: string): Position {
  const fields = fieldsOf(info);
  const offset = Number(fields.get('slave_repl_offset') ?? NaN);
  if (fields.get('role') !== 'slave' || Number.isNaN(offset)) {
    throw new NoReplicaError('it is no replica any more');
  }
  return { history: fields.get('master_replid') ?? '?', offset };
}
