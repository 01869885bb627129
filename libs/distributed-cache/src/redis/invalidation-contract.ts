import type { Announcements } from './announcements.js';

export interface InvalidationListener {
  /** These keys have changed; `undefined`: any key may have (FLUSHALL). */
  onChanged(keys: readonly string[] | undefined): void;
  /** Changes are received from now on; earlier ones may have been missed. */
  onLive(): void;
  /** Changes may be missed from now on. */
  onLost(): void;
  /** Messages may be unread, or lost: local copies are not trusted until {@link onDoubtEnded} or {@link onLost}. */
  onDoubt(): void;
  /** The doubt has ended: no message was lost. */
  onDoubtEnded(): void;
  /** The server refuses tracking for this user: changes by others are received only if they announce them, or never. */
  onRefused(): void;
}

export interface InvalidationLimits {
  /** The prefix of all keys, colon included. */
  readonly prefix: string;
  readonly deadlineMs: number;
  readonly heartbeatMs: number;
  readonly announcements: Announcements;
  /**
   * Whether `PUBLISH` reaches every node of a cluster, so that each nonce has a cost. Then an invalidation message
   * since the last heartbeat replaces the nonce.
   */
  readonly savesNonces: boolean;
}
