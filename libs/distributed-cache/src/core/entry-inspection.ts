import type { CompressorId, SerializerId } from '../codec/index.js';

/** A tag of an entry, as it stands in keys; not current: it was invalidated after the entry was made. */
export interface TagInspection {
  readonly name: string;
  readonly isCurrent: boolean;
}

interface Lives {
  /** Time since the value was stored, in milliseconds. */
  readonly ageMs: number;
  /** What is left of its fresh life, in milliseconds; zero or less when stale. */
  readonly ttlMs: number;
  /** What is left of the time that it is kept as a stale value once its fresh life is over, in milliseconds. */
  readonly graceMs: number;
  readonly tags: readonly TagInspection[];
  /** Whether it counts: no `clear`, invalidation of a tag or change of `version` since it was made. What is not is a miss. */
  readonly isCurrent: boolean;
}

/** What the memory of this process has of an entry. `off`: there is no L1. */
export type LocalInspection =
  | { readonly state: 'off' }
  | { readonly state: 'missing' }
  | (Lives & {
      readonly state: 'fresh' | 'stale';
      /** Whether L1 may answer at this moment: changes that others make are heard of, or the fallback serves. */
      readonly isTrusted: boolean;
      /** Estimated heap, key and bookkeeping included. */
      readonly heapBytes: number;
      /** Whether each reader gets a copy of its own. */
      readonly isCopiedOnRead: boolean;
    });

/** Whether somebody is loading the key (`held`), or loads of it are refused for a while after a deletion (`held-off`). */
export type LeaseInspection = 'free' | 'held' | 'held-off';

/** What Redis has of an entry. `none`: no Redis is configured. `unreachable`: it can't be asked. */
export type RedisInspection =
  | { readonly state: 'none' }
  | { readonly state: 'unreachable' }
  | { readonly state: 'missing'; readonly lease: LeaseInspection }
  | {
      /** Bytes that can't be read: a miss. */
      readonly state: 'corrupt';
      readonly reason: string;
      readonly storedBytes: number;
      readonly lease: LeaseInspection;
    }
  | (Lives & {
      readonly state: 'fresh' | 'stale';
      /** Size in Redis, header included. */
      readonly storedBytes: number;
      /** Size of the serialized value before compression. */
      readonly rawBytes: number;
      readonly serializer: SerializerId;
      readonly compressor: CompressorId;
      /** The `version` of its namespace when it was made. */
      readonly version: string | number | undefined;
      /** How long its loader took, in milliseconds; 0: it was set. */
      readonly loadMs: number;
      readonly lease: LeaseInspection;
    });

/** Everything about one entry but its value. */
export interface EntryInspection {
  readonly namespace: string;
  /** The key as every tier knows it. */
  readonly key: string;
  /** Its whole name in Redis, for redis-cli. */
  readonly redisKey: string;
  readonly local: LocalInspection;
  readonly redis: RedisInspection;
  /** Whether this process is loading it, or reading it for a load. */
  readonly isLoading: boolean;
  /** Whether Redis has yet to be told to forget it: what it holds is a miss until then. */
  readonly isJournalled: boolean;
}
