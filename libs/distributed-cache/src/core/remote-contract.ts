import type { EncodedPayload, Stamp } from '../codec/index.js';
import type { LocalMark } from '../local/index.js';
import type { RedisEntry } from '../redis/index.js';
import type { EntryLife } from './entry-life.js';
import type { Lease } from './lease.js';

/** What Redis knows of a key. `unreachable`: it could not be asked. */
export type RemoteLookup =
  | { readonly state: 'unreachable' }
  | { readonly state: 'miss'; readonly stamps: readonly Stamp[] }
  | {
      readonly state: 'found';
      readonly entry: RedisEntry;
      readonly ttlMs: number;
      readonly ageMs: number;
      readonly stamps: readonly Stamp[];
      /** The entry's tags as they were when they were found to be current. */
      readonly marks: readonly LocalMark[] | undefined;
    };

export const UNREACHABLE: RemoteLookup = Object.freeze({ state: 'unreachable' });

/**
 * How a write ended. `unsent`: Redis is away, nothing happened. `refused`: Redis said no (`OOM`, `READONLY`), so what it held
 * before is still there. `unknown`: it was sent and never answered, so it may have taken effect, now or later.
 */
export type WriteOutcome = 'done' | 'unsent' | 'refused' | 'unknown';

export interface RemoteWrite {
  readonly payload: EncodedPayload;
  readonly life: EntryLife;
  readonly loadMs: number;
  readonly stamps: readonly Stamp[];
}

export interface TakeOutcome {
  readonly lookup: RemoteLookup;
  /** Ours; absent: another process is loading. */
  readonly lease: Lease | undefined;
  /** The token of the load under way, as far as Redis says. */
  readonly owner: string | undefined;
  /** Whether nobody may store a load for now. */
  readonly isHeldOff: boolean;
  /** Whether nobody is given a lease: waiting for one would be in vain. */
  readonly isRefused: boolean;
}
