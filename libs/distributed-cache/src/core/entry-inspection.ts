import type { CompressorId, SerializerId } from '../codec/index.js';

/** A tag of an entry, by its name in keys. A tag that is not current was invalidated after the entry was made. */
export interface TagInspection {
  readonly name: string;
  readonly isCurrent: boolean;
}

interface Lives {
  /** Time since the value was stored, in milliseconds. */
  readonly ageMs: number;
  /** The rest of its fresh life, in milliseconds; zero or less when stale. */
  readonly ttlMs: number;
  /** The rest of the time for which it is kept as a stale value after its fresh life, in milliseconds. */
  readonly graceMs: number;
  readonly tags: readonly TagInspection[];
  /**
   * Whether the entry counts: there was no `clear`, invalidation of a tag or change of `version` since it was made.
   * Otherwise it is a miss.
   */
  readonly isCurrent: boolean;
}

/** What L1 of this process holds of an entry. `off`: there is no L1. */
export type LocalInspection =
  | { readonly state: 'off' }
  | { readonly state: 'missing' }
  | (Lives & {
      readonly state: 'fresh' | 'stale';
      /** Whether L1 may answer at this moment: changes by others are received, or the fallback serves. */
      readonly isTrusted: boolean;
      /** Estimated size on the heap, in bytes, with the key and the bookkeeping. */
      readonly heapBytes: number;
      /** Whether each reader gets its own copy. */
      readonly isCopiedOnRead: boolean;
    });

/**
 * The lease of a key: `held` while a load is under way, `held-off` while loads are refused for a while after a
 * deletion.
 */
export type LeaseInspection = 'free' | 'held' | 'held-off';

/** What Redis holds of an entry. `none`: no Redis is configured. `unreachable`: Redis can't be asked. */
export type RedisInspection =
  | { readonly state: 'none' }
  | { readonly state: 'unreachable' }
  | { readonly state: 'missing'; readonly lease: LeaseInspection }
  | {
      /** The bytes can't be read: the entry is a miss. */
      readonly state: 'corrupt';
      readonly reason: string;
      readonly storedBytes: number;
      readonly lease: LeaseInspection;
    }
  | (Lives & {
      readonly state: 'fresh' | 'stale';
      /** Size in Redis, in bytes, header included. */
      readonly storedBytes: number;
      /** Size of the serialized value before compression, in bytes. */
      readonly rawBytes: number;
      readonly serializer: SerializerId;
      readonly compressor: CompressorId;
      /** The `version` of its namespace when the entry was made. */
      readonly version: string | number | undefined;
      /** How long its loader took, in milliseconds; 0 when the value was set. */
      readonly loadMs: number;
      readonly lease: LeaseInspection;
    });

/** Everything about one entry except its value. */
export interface EntryInspection {
  readonly namespace: string;
  /** The key in the form that every tier uses. */
  readonly key: string;
  /** Its full name in Redis, for redis-cli. */
  readonly redisKey: string;
  readonly local: LocalInspection;
  readonly redis: RedisInspection;
  /** Whether this process is loading it, or reading it for a load. */
  readonly isLoading: boolean;
  /** Whether Redis has not yet acknowledged a deletion of the key: until then, what Redis holds is a miss. */
  readonly isJournalled: boolean;
}
