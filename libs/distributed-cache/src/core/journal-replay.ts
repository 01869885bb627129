import { TierUnreplicatedError } from '../errors/index.js';
import {
  type Home,
  isRefusal,
  type Outbox,
  type PendingInvalidations,
  replayInvalidations,
  type ReplicaGuard,
  type ServerPart,
} from '../redis/index.js';
import type { OutageJournal } from './outage-journal.js';

type Run = ServerPart['run'];

/** What a replay uses of the parts of L2. */
export interface ReplayParts {
  readonly journal: OutageJournal;
  readonly home: Home | undefined;
  readonly outbox: Outbox | undefined;
  /** Confirms that a replica has a change; only in strict mode. */
  readonly guard: ReplicaGuard | undefined;
  /** Announces changed keys to other processes, where Redis does not tell them. */
  announce(keys: readonly string[], run: Run): Promise<void>;
  /** Called with the stamps of tags and namespaces that were replayed. */
  onReplayed(stampKeys: readonly string[]): void;
}

/** Sends the invalidations of the outage journal to a server that is back, and those that it refused while it served. */
export class JournalReplay {
  private isCatchingUp = false;

  constructor(private readonly parts: ReplayParts) {}

  /**
   * Replays the journal to a server that is back. The server is used afterwards in any case: what it refuses, and in
   * strict mode what no replica has yet, stays in the journal, and is repeated at the heartbeats. Until then these keys
   * are misses here.
   */
  restore(part: ServerPart): Promise<void> {
    const mayWait = (error: unknown): boolean => error instanceof TierUnreplicatedError || isRefusal(error);
    return this.replayTo(part, mayWait).catch(unlessRefused);
  }

  /**
   * Replays what is pending, also what Redis refused while it served (READONLY after a failover). A long replay is not
   * started twice at the same time.
   */
  catchUp(servers: readonly ServerPart[]): void {
    if (this.isCatchingUp || this.parts.journal.size === 0) {
      return;
    }
    this.isCatchingUp = true;
    const replays = servers.map((server) => this.replayTo(server));
    void Promise.allSettled(replays).then(() => (this.isCatchingUp = false)); // the rest at the next heartbeat
  }

  /** @param mayWait whether a change that fails to reach a replica with this error may wait; the others go on then */
  private replayTo(part: ServerPart, mayWait: (error: unknown) => boolean = () => false): Promise<void> {
    const run: Run = (operation, send) => part.run(operation, send);
    return this.parts.journal.replay(
      (pending) => this.send(pending, run, mayWait),
      (key) => part.owns(key),
    );
  }

  /** Sends pending invalidations and announces them. @returns whether they are done */
  private async send(pending: PendingInvalidations, run: Run, mayWait: (error: unknown) => boolean): Promise<boolean> {
    const { home, outbox } = this.parts;
    const stampKeys = [...pending.stamps.keys()];
    const keys = [...pending.entries.map(({ valueKey }) => valueKey), ...stampKeys];
    // remedy: replay-is-relayed
    const isRecorded = (await outbox?.replay(keys, run)) !== false;
    await run('UNLINK', (client) => replayInvalidations(client, pending));
    home?.onKnown(keys);
    await this.parts.announce(keys, run);
    const isDone = (await this.isReplicated(keys[0], run, mayWait)) && isRecorded;
    // Redis notifies the other processes; this one may have held the old stamps since the call. It is done once, as it
    // drops everything in L1.
    // remedy: replayed-clear-is-told
    this.parts.onReplayed(stampKeys);
    return isDone;
  }

  private async isReplicated(
    key: string | undefined,
    run: Run,
    mayWait: (error: unknown) => boolean,
  ): Promise<boolean> {
    const { guard } = this.parts;
    try {
      await (key !== undefined && guard?.confirm('UNLINK', key, run));
      return true;
    } catch (error) {
      if (!mayWait(error)) {
        throw error;
      }
      return false;
    }
  }
}

function unlessRefused(error: unknown): void {
  if (!isRefusal(error)) {
    throw error;
  }
}
