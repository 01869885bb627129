import { randomUUID } from 'node:crypto';
import { type Stamp, stampNamed } from '../codec/index.js';
import { CorruptEntryError, TierUnavailableError } from '../errors/index.js';
import { CLEAR, type KeyLayout } from '../keys/index.js';
import type { TagVersion } from '../local/index.js';
import {
  allOf,
  byPieces,
  HOLD_OFF,
  type PieceLimits,
  type ReadCompany,
  type RedisEntry,
  type RedisTier,
} from '../redis/index.js';
import { Lease } from './lease.js';
import { type LeaseAttempt, type RemoteFaults, type RemoteLookup, UNREACHABLE } from './outcomes.js';
import type { RedisRuntime } from './runtime.js';
import { type HeldStamp, stampedAtMs } from './stamps.js';
import type { TagRegistry } from './tags.js';

/** A piece of a batch of leases: each is two commands. */
const LEASE_PIECE: PieceLimits<string> = { maxItems: 250, maxBytes: Infinity, bytesOf: () => 0 };

type Taken = Awaited<ReturnType<RedisTier['take']>>;

const NOT_TAKEN: Taken = { owner: undefined, bytes: null, refusal: undefined };

/** The circumstances under which a lease was requested. */
interface Asked {
  readonly stamp: string;
  readonly atMs: number;
  readonly wasJournalled: boolean;
  readonly isFirstRead: boolean;
}

/**
 * Looks up the entries of one namespace in Redis, with or without an attempt to take the lease of the key; a part of
 * `RemoteTier`. No method throws.
 */
export class RemoteReads {
  private readonly processId = randomUUID();
  private attempts = 0;

  constructor(
    private readonly redis: RedisRuntime,
    private readonly tier: RedisTier,
    private readonly layout: KeyLayout,
    private readonly stamp: HeldStamp,
    private readonly validity: EntryValidity,
    private readonly faults: RemoteFaults,
  ) {}

  /**
   * Looks up one key. Every hit in Redis takes this path, so it waits for nothing that is there already.
   * @param company `ahead`: no caller waits for the key, so its faults are not reported
   */
  async find(key: string, company: ReadCompany = 'alone'): Promise<RemoteLookup> {
    const valueKey = this.layout.valueKey(key);
    const { held } = this.stamp;
    const { deadlineClock } = this.redis.connection;
    const askedAtMs = deadlineClock.nowMs();
    const wasJournalled = this.validity.isJournalled(key);
    try {
      if (held === undefined) {
        return await deadlineClock.withinRest('GET', askedAtMs, this.findUnderNewStamp(key, valueKey, wasJournalled));
      }
      const bytes = await this.tier.read(valueKey, company);
      const decoding = bytes === null ? undefined : this.tier.entryIn(valueKey, bytes, askedAtMs);
      const checking = this.validity.lookupOf(
        key,
        decoding instanceof Promise ? await decoding : decoding,
        held,
        wasJournalled,
      );
      return checking instanceof Promise ? await deadlineClock.withinRest('GET', askedAtMs, checking) : checking;
    } catch (error) {
      const isReported = company !== 'ahead';
      return error instanceof CorruptEntryError ? this.corrupt(error, isReported) : this.unreachable(error, isReported);
    }
  }

  private async findUnderNewStamp(key: string, valueKey: string, wasJournalled: boolean): Promise<RemoteLookup> {
    const [entry, stamp] = await Promise.all([
      this.tier.get(valueKey).catch((error: unknown) => this.unreadable(error)),
      this.stamp.current(),
    ]);
    return this.validity.lookupOf(key, entry, stamp, wasJournalled);
  }

  /**
   * Looks up several keys, in the order of `keys`, in pieces, each with a deadline of its own. An entry that can't be
   * read is one miss; a server that can't be asked affects only its own keys.
   */
  async findMany(keys: readonly string[]): Promise<readonly RemoteLookup[]> {
    const { tier } = this;
    const groups = this.redis.tier.groups(keys, (key) => this.layout.valueKey(key));
    const [only] = groups;
    if (groups.length === 1 && only !== undefined && only.length <= tier.keysPerRead) {
      return this.findPiece(only, false);
    }
    const found = new Map<string, RemoteLookup>();
    const limits: PieceLimits<string> = {
      get maxItems() {
        return tier.keysPerRead; // follows the size of the values that have been read meanwhile
      },
      maxBytes: Infinity,
      bytesOf: () => 0,
    };
    await byPieces(groups, limits, async (piece, isPiece) => {
      const lookups = await this.findPiece(piece, isPiece);
      piece.forEach((key, index) => found.set(key, lookups[index] ?? UNREACHABLE));
    });
    return keys.map((key) => found.get(key) ?? UNREACHABLE);
  }

  private async findPiece(keys: readonly string[], isPiece: boolean): Promise<readonly RemoteLookup[]> {
    const { deadlineClock } = this.redis.connection;
    const askedAtMs = deadlineClock.nowMs();
    const wereJournalled = this.validity.journalledOf(keys);
    try {
      const valueKeys = keys.map((key) => this.layout.valueKey(key));
      const reading = this.tier.getMany(valueKeys, isPiece);
      const { held } = this.stamp;
      const both = Promise.all([reading, held ?? this.stamp.current(0, isPiece)]);
      const isLimited = held === undefined && !isPiece;
      const [entries, stamp] = await (isLimited ? deadlineClock.withinRest('GET', askedAtMs, both) : both);
      const checking = allOf(
        keys.map((key, index) => {
          const entry = entries[index];
          const readable = entry instanceof CorruptEntryError ? this.unreadable(entry) : entry;
          return this.validity.lookupOf(key, readable, stamp, wereJournalled.has(key), isPiece);
        }),
      );
      return checking instanceof Promise && !isPiece
        ? await deadlineClock.withinRest('GET', askedAtMs, checking)
        : checking;
    } catch (error) {
      const unreachable = this.unreachable(error);
      return keys.map(() => unreachable);
    }
  }

  /**
   * Tries to take the lease of this key, and reads the entry with it.
   * @param isFirstRead the key has not been read before in this load, so an unreadable entry is reported here
   */
  async acquire(key: string, isFirstRead: boolean): Promise<LeaseAttempt> {
    const lease = this.newLease(key);
    const wasJournalled = this.validity.isJournalled(key);
    let isAsked = false;
    try {
      const stamp = this.stamp.held ?? (await this.stamp.current());
      const atMs = this.redis.connection.deadlineClock.nowMs();
      isAsked = true;
      const taken = await this.tier.take(lease.keys, lease.token, lease.leaseMs);
      return await this.attemptOf(key, lease, taken, { stamp, atMs, wasJournalled, isFirstRead });
    } catch (error) {
      return this.failedAttempt([lease], isAsked, error);
    }
  }

  /** As {@link acquire}, for several keys that have been read before, in pieces; by key. */
  async acquireMany(keys: readonly string[]): Promise<ReadonlyMap<string, LeaseAttempt>> {
    const attempts = new Map<string, LeaseAttempt>();
    const groups = this.tier.groups(keys, (key) => this.layout.valueKey(key));
    await byPieces(groups, LEASE_PIECE, async (piece, isPiece) => {
      const leases = piece.map((key) => this.newLease(key));
      for (const [index, attempt] of (await this.acquirePiece(piece, leases, isPiece)).entries()) {
        attempts.set(piece[index] ?? '', attempt);
      }
    });
    return attempts;
  }

  private async acquirePiece(
    keys: readonly string[],
    leases: readonly Lease[],
    isPiece: boolean,
  ): Promise<readonly LeaseAttempt[]> {
    const wereJournalled = this.validity.journalledOf(keys);
    let isAsked = false;
    try {
      const stamp = this.stamp.held ?? (await this.stamp.current(0, isPiece));
      const atMs = this.redis.connection.deadlineClock.nowMs();
      isAsked = true;
      const taken = await this.tier.takeMany(leases, isPiece);
      return await allOf(
        leases.map((lease, index) => {
          const key = keys[index] ?? '';
          const asked = { stamp, atMs, wasJournalled: wereJournalled.has(key), isFirstRead: false };
          return this.attemptOf(key, lease, taken[index] ?? NOT_TAKEN, asked);
        }),
      );
    } catch (error) {
      const failed = this.failedAttempt(leases, isAsked, error);
      return keys.map(() => failed);
    }
  }

  private newLease(key: string): Lease {
    const { leaseTerm, pendingReleases } = this.redis;
    const token = `${this.processId}:${++this.attempts}`;
    return new Lease(this.tier, this.layout.entryKeys(key), token, leaseTerm, pendingReleases);
  }

  private attemptOf(
    key: string,
    lease: Lease,
    { owner, bytes, refusal }: Taken,
    { stamp, atMs, wasJournalled, isFirstRead }: Asked,
  ): LeaseAttempt | Promise<LeaseAttempt> {
    if (refusal !== undefined) {
      this.faults.report('get', refusal);
    }
    if (this.redis.home !== undefined) {
      lease.seen = bytes;
    }
    const attempt = (lookup: RemoteLookup): LeaseAttempt => ({
      lookup,
      lease: owner === lease.token ? lease : undefined,
      owner,
      isHeldOff: owner === HOLD_OFF,
      isRefused: refusal !== undefined,
    });
    const finding =
      bytes === null
        ? this.validity.lookupOf(key, undefined, stamp, wasJournalled)
        : this.readable(lease.keys.valueKey, bytes, atMs, isFirstRead).then((entry) =>
            this.validity.lookupOf(key, entry, stamp, wasJournalled),
          );
    return finding instanceof Promise ? finding.then(attempt) : attempt(finding);
  }

  private failedAttempt(leases: readonly Lease[], isAsked: boolean, error: unknown): LeaseAttempt {
    if (isAsked && !isUnsent(error)) {
      // The lease may have been taken without an answer. Other processes would then wait for a load that does not run.
      leases.forEach((lease) => void lease.release());
    }
    return { lookup: this.unreachable(error), lease: undefined, owner: undefined, isHeldOff: false, isRefused: true };
  }

  /** Whether a load of this key has ended without a value to store a moment ago; `undefined` when Redis can't be asked. */
  async hasEndedUnfilled(key: string): Promise<boolean | undefined> {
    try {
      return await this.tier.hasEndedUnfilled(this.layout.entryKeys(key));
    } catch (error) {
      this.faults.report('get', error);
      return undefined;
    }
  }

  private async readable(
    valueKey: string,
    bytes: Buffer,
    askedAtMs: number,
    isReported: boolean,
  ): Promise<RedisEntry | undefined> {
    try {
      return await this.tier.entryIn(valueKey, bytes, askedAtMs);
    } catch (error) {
      return this.unreadable(error, isReported);
    }
  }

  /** The result for a corrupt entry: a miss with the current stamps, so that a load in its place can be stored. */
  private corrupt(error: CorruptEntryError, isReported: boolean): RemoteLookup {
    this.unreadable(error, isReported);
    const { held } = this.stamp;
    return held === undefined ? UNREACHABLE : { state: 'miss', stamps: this.validity.stampsUnder(held) };
  }

  /** Turns an entry that can't be read into a miss; any other error is the tier's. */
  private unreadable(error: unknown, isReported = true): undefined {
    if (!(error instanceof CorruptEntryError)) {
      throw error;
    }
    if (isReported) {
      this.faults.report('get', error);
    }
  }

  private unreachable(error: unknown, isReported = true): RemoteLookup {
    if (isReported) {
      this.faults.report('get', error);
    }
    return UNREACHABLE;
  }
}

/** Whether the command was not sent. Any other fault may occur after the command was sent. */
function isUnsent(error: unknown): boolean {
  return error instanceof TierUnavailableError && !error.wasSent;
}

/** Decides whether an entry in Redis is current. */
export class EntryValidity {
  private clearStamp: string | undefined;
  private stamps: readonly Stamp[] = [];

  constructor(
    private readonly redis: RedisRuntime,
    private readonly layout: KeyLayout,
    private readonly tags: TagRegistry,
    /** The stamps that every entry carries in addition: the version of its namespace. */
    private readonly ownStamps: readonly Stamp[],
  ) {}

  /** The stamps that an entry must carry, apart from those of its tags. */
  stampsUnder(clearStamp: string): readonly Stamp[] {
    if (this.clearStamp !== clearStamp) {
      this.clearStamp = clearStamp;
      this.stamps = [[CLEAR, clearStamp], ...this.ownStamps];
    }
    return this.stamps;
  }

  /**
   * Whether an entry is current: it carries the current stamp of its namespace and of each of its tags.
   * @param wasJournalled the result of {@link isJournalled} when Redis was asked. Since then the journal may have
   * been replayed, and the entry may be one that Redis has deleted meanwhile
   * @param isPiece as in `HeldStamp.current`
   */
  lookupOf(
    key: string,
    entry: RedisEntry | undefined,
    clearStamp: string,
    wasJournalled: boolean,
    isPiece = false,
  ): RemoteLookup | Promise<RemoteLookup> {
    const stamps = this.stampsUnder(clearStamp);
    // remedy: journalled-before-read
    const isJournalled = wasJournalled || this.isJournalled(key);
    if (entry === undefined || isJournalled || !this.isOfStamp(entry, clearStamp)) {
      return { state: 'miss', stamps };
    }
    const tags = tagsOf(entry.header.stamps);
    return tags === undefined
      ? this.found(key, entry, stamps, undefined)
      : this.checkTags(key, entry, stamps, tags, isPiece);
  }

  private async checkTags(
    key: string,
    entry: RedisEntry,
    stamps: readonly Stamp[],
    tags: readonly string[],
    isPiece: boolean,
  ): Promise<RemoteLookup> {
    const tagVersions = this.tags.tagVersions(tags); // before asking, so that a change in between is noticed
    const werePending = this.tags.arePending(tags);
    const current = await this.tags.stamps(tags, undefined, isPiece);
    return werePending || this.tags.arePending(tags) || current.some(([name, stamp]) => stampOf(entry, name) !== stamp)
      ? { state: 'miss', stamps }
      : this.found(key, entry, stamps, tagVersions);
  }

  private found(
    key: string,
    entry: RedisEntry,
    stamps: readonly Stamp[],
    tagVersions: readonly TagVersion[] | undefined,
  ): RemoteLookup {
    const { createdAtMs, expiresAtMs } = entry.header;
    const nowMs = this.redis.connection.serverNowMs(this.layout.valueKey(key));
    return {
      state: 'found',
      entry,
      ttlMs: expiresAtMs - nowMs,
      ageMs: Math.max(0, nowMs - createdAtMs),
      stamps,
      tagVersions,
    };
  }

  /**
   * Whether an entry carries the current stamp of the namespace. A value of another program carries no stamp, and may
   * be older than a `clear()`: it counts only until the first one. A stamp that was lost (evicted) and made anew counts
   * as a `clear()`, as long as one process remembers it.
   */
  private isOfStamp(entry: RedisEntry, clearStamp: string): boolean {
    return entry.isLegacy ? stampedAtMs(clearStamp) === 0 : stampOf(entry, CLEAR) === clearStamp;
  }

  /** Whether the journal holds an invalidation of this key: what Redis may hold is then a miss, and will be deleted. */
  isJournalled(key: string): boolean {
    const { journal } = this.redis;
    return journal.size > 0 && journal.covers(this.layout.clearStampKey, this.layout.valueKey(key));
  }

  /** The keys for which {@link isJournalled} is true. */
  journalledOf(keys: readonly string[]): ReadonlySet<string> {
    return this.redis.journal.size > 0 ? new Set(keys.filter((key) => this.isJournalled(key))) : NONE;
  }
}

const NONE: ReadonlySet<string> = new Set();

/**
 * The names of the tags among the stamps; `undefined` when there is none, which is the usual case: nothing is allocated
 * then.
 */
export function tagsOf(stamps: readonly Stamp[]): string[] | undefined {
  let tags: string[] | undefined;
  for (const stamp of stamps) {
    const name = stamp[0];
    if (!name.startsWith('#')) {
      (tags ??= []).push(name);
    }
  }
  return tags;
}

function stampOf({ header }: RedisEntry, wanted: string): string | undefined {
  return stampNamed(header.stamps, wanted);
}
