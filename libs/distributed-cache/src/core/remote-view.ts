import { randomUUID } from 'node:crypto';
import type { EncodedPayload, Stamp } from '../codec/index.js';
import { CorruptEntryError, TierReplyError, TierUnavailableError } from '../errors/index.js';
import type { KeyLayout } from '../keys/index.js';
import type { EntryToStore, RedisConnection, RedisEntry, RedisTier } from '../redis/index.js';
import type { EntryLife } from './entry-life.js';

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
    };

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

type Operation = 'get' | 'set' | 'delete' | 'clear';

const UNREACHABLE: RemoteLookup = Object.freeze({ state: 'unreachable' });
/** The name under which an entry carries the stamp of its namespace. */
const CLEAR = '#clear';

/**
 * One namespace's part of Redis. Nothing here throws: a fault is told to `onError`, once, and the answer says that Redis
 * could not be asked.
 *
 * `clear()` puts a new unique stamp under one key; an entry carries the stamp that was current when its load began, and one
 * with another stamp is a miss. A stamp that is gone (evicted, an emptied Redis) is made anew, so that old entries become
 * misses, never hits. The stamp is read together with the value, in one round trip.
 */
export class RemoteView {
  constructor(
    private readonly tier: RedisTier,
    private readonly connection: RedisConnection,
    private readonly layout: KeyLayout,
    private readonly onError: (operation: Operation, error: Error) => void,
  ) {}

  async find(key: string): Promise<RemoteLookup> {
    try {
      const [entry, stamp] = await Promise.all([
        this.tier.get(this.layout.valueKey(key)).catch((error: unknown) => this.unreadable(error)),
        this.currentStamp(),
      ]);
      return this.judge(entry, [[CLEAR, stamp]]);
    } catch (error) {
      return this.unreachable('get', error);
    }
  }

  /** In the order of `keys`. One entry that can't be read is one miss. */
  async findMany(keys: readonly string[]): Promise<RemoteLookup[]> {
    try {
      const [entries, stamp] = await Promise.all([
        this.tier.getMany(keys.map((key) => this.layout.valueKey(key))),
        this.currentStamp(),
      ]);
      return entries.map((entry) =>
        this.judge(entry instanceof CorruptEntryError ? this.unreadable(entry) : entry, [[CLEAR, stamp]]),
      );
    } catch (error) {
      this.report('get', error);
      return keys.map(() => UNREACHABLE);
    }
  }

  /** The stamps that an entry written now must carry; `undefined` while Redis can't be asked. */
  async stamps(): Promise<readonly Stamp[] | undefined> {
    try {
      return [[CLEAR, await this.currentStamp()]];
    } catch (error) {
      this.report('set', error);
      return undefined;
    }
  }

  async store(key: string, write: RemoteWrite): Promise<WriteOutcome> {
    return this.write('set', () => this.tier.set(this.layout.valueKey(key), entryOf(write)));
  }

  async storeMany(writes: readonly (readonly [key: string, write: RemoteWrite])[]): Promise<WriteOutcome> {
    return this.write('set', () =>
      this.tier.setMany(writes.map(([key, write]) => [this.layout.valueKey(key), entryOf(write)] as const)),
    );
  }

  /** @returns how many of the keys there were, as far as Redis could be asked */
  async delete(keys: readonly string[]): Promise<number> {
    try {
      return await this.tier.delete(keys.map((key) => this.layout.valueKey(key)));
    } catch (error) {
      this.report('delete', error);
      return 0;
    }
  }

  async clear(): Promise<WriteOutcome> {
    return this.write('clear', () => this.tier.replaceStamp(this.layout.clearStampKey, randomUUID()));
  }

  private async currentStamp(): Promise<string> {
    const { clearStampKey } = this.layout;
    return (await this.tier.readStamp(clearStampKey)) ?? this.tier.createStamp(clearStampKey, randomUUID());
  }

  private judge(entry: RedisEntry | undefined, stamps: readonly Stamp[]): RemoteLookup {
    if (entry === undefined || !carries(entry.header.stamps, stamps)) {
      return { state: 'miss', stamps };
    }
    const ttlMs = this.tier.remainingMs(entry.header);
    const ageMs = Math.max(0, this.connection.serverNowMs() - entry.header.createdAtMs);
    return { state: 'found', entry, ttlMs, ageMs, stamps };
  }

  /** Bytes that can't be read are a miss; any other error is the tier's. */
  private unreadable(error: unknown): undefined {
    if (!(error instanceof CorruptEntryError)) {
      throw error;
    }
    this.onError('get', error);
    return undefined;
  }

  private unreachable(operation: Operation, error: unknown): RemoteLookup {
    this.report(operation, error);
    return UNREACHABLE;
  }

  private async write(operation: Operation, send: () => Promise<void>): Promise<WriteOutcome> {
    try {
      await send();
      return 'done';
    } catch (error) {
      this.report(operation, error);
      if (error instanceof TierUnavailableError) {
        return 'unsent';
      }
      return error instanceof TierReplyError ? 'refused' : 'unknown';
    }
  }

  /** A Redis that is known to be away is no news with every call: its loss has been told once. */
  private report(operation: Operation, error: unknown): void {
    const isKnownOutage = error instanceof TierUnavailableError && !this.connection.isLive;
    if (!isKnownOutage) {
      this.onError(operation, error instanceof Error ? error : new Error('unknown error of a tier'));
    }
  }
}

function entryOf({ payload, life, loadMs, stamps }: RemoteWrite): EntryToStore {
  return { payload, ttlMs: life.ttlMs, graceMs: life.graceMs, loadMs, stamps };
}

/** Whether an entry was made under the stamps that are current. */
function carries(carried: readonly Stamp[], current: readonly Stamp[]): boolean {
  return current.every(([name, stamp]) => carried.some((own) => own[0] === name && own[1] === stamp));
}
