import type { Announcements } from './announcements.js';

export interface InvalidationListener {
  /** These keys have changed; `undefined`: anything may have (FLUSHALL). */
  onChanged(keys: readonly string[] | undefined): void;
  /** From now on changes are heard of; what was before may have been missed. */
  onLive(): void;
  /** From now on changes may be missed. */
  onLost(): void;
  /** Messages may lie unread, or be lost: nothing is relied on until {@link onDoubtEnded} or {@link onLost}. */
  onDoubt(): void;
  /** No message was lost. */
  onDoubtEnded(): void;
  /** The server does not track for this user: others' changes are heard of only if they announce them, or never. */
  onRefused(): void;
}

export interface InvalidationLimits {
  /** What the names of all keys begin with, colon included. */
  readonly prefix: string;
  readonly deadlineMs: number;
  readonly heartbeatMs: number;
  readonly announcements: Announcements;
  /**
   * Whether `PUBLISH` reaches every node of a cluster, so that a nonce has a cost: then an invalidation message since the last heartbeat
   * serves as well.
   */
  readonly savesNonces: boolean;
}
