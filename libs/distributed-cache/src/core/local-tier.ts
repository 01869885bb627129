import { asDecoded, type Decoded, deserialize, type EntryCodec, serialize } from '../codec/index.js';
import { isPlainKey, type PreparedKey } from '../keys/index.js';
import {
  DeferredJson,
  type KeyUses,
  type LocalEntry,
  type LocalPutOptions,
  type OnEvicted,
  type Partition,
  asItIs,
  readStored,
  type StoredValue,
  storeValue,
  type TagScope,
  type TopEntry,
  type TopOrder,
  type ValueOrigin,
  type ValuesMode,
} from '../local/index.js';
import { type ClassRegistry, inspectValue, isObject, prepareTree, toRefusedError } from '../values/index.js';
import { type EntryLife, XFETCH_HORIZON } from './entry-options.js';
import type { Companions } from './companions.js';
import type { CacheRuntime } from './runtime.js';

/**
 * How long a local copy is trusted when Redis can't report changes, in milliseconds: for this time processes may
 * disagree.
 */
const UNTRACKED_TTL_MS = 5000;

/**
 * One namespace's part of L1, and the rules by which its entries are trusted.
 *
 * - While Redis serves: as long as this process receives every change by others. In doubt L1 does not answer, and once
 * changes are received again every earlier entry is dropped (a new epoch). When the server can't track and other
 * processes announce their changes, an entry is fresh for `UNTRACKED_TTL_MS` at most: other clients don't announce.
 * - While Redis, or the one master of a cluster that holds the key, can't be used: an entry is fresh for at most
 * `CACHE_FALLBACK_TTL` from the moment it was stored or the outage began, whichever is later, then stale for its grace.
 * With the fallback switched off L1 does not answer. When Redis is back a new epoch begins: others may have made
 * changes that this process did not receive.
 * - Without a Redis: always.
 */
export class LocalTier {
  /** Absent when L1 is switched off. */
  private readonly part: Partition | undefined;
  /** The prefix of its keys in Redis. */
  private readonly valuePrefix: string;
  /** The keys of values that were kept, and not sent, while Redis was in doubt. */
  private readonly unsent = new Set<string>();

  constructor(
    private readonly runtime: CacheRuntime,
    namespace: string,
    onEvicted?: OnEvicted,
    /** Absent unless the option `companions` is set. */
    readonly companions?: Companions,
  ) {
    this.part = runtime.local?.partition(isPlainKey, XFETCH_HORIZON, onEvicted);
    this.valuePrefix = `${runtime.config.keyPrefix}:${namespace}:`;
  }

  /** The entry, if it may be trusted; it may be stale: see {@link remainingMs}. */
  find(key: string, nowMs = this.runtime.clock.nowMs()): LocalEntry | undefined {
    return this.part === undefined || !this.isTrusted(key) ? undefined : this.part.find(key, nowMs);
  }

  /**
   * The slot of a value that can be returned as it is, while Redis and its messages work normally; -1 when the full
   * path must decide.
   */
  hit(key: string, nowMs: number): number {
    const { part } = this;
    return part !== undefined && this.isFullyTracked() ? part.store.hit(part.index, key, nowMs) : -1;
  }

  /** The slot of a value, as in {@link hit}, for a key that remembers where its entry is. */
  hitAgain(key: PreparedKey, nowMs: number): number {
    const { part } = this;
    return part !== undefined && this.isFullyTracked() ? part.store.hitAgain(part.index, key, nowMs) : -1;
  }

  /** Whether no Redis is configured, or this process receives every change of every key. */
  isFullyTracked(): boolean {
    const { redis } = this.runtime;
    return redis === undefined || (redis.connection.allNodesUp && redis.changes.isFullyTracked);
  }

  /** Whether a value that is read for this key would be kept, and is not there. */
  wants(key: string): boolean {
    return this.part !== undefined && this.isTrusted(key) && !this.part.hasFresh(key, this.runtime.clock.nowMs());
  }

  /** The entry as it is, trusted or not, without marking it as used. */
  peek(key: string): LocalEntry | undefined {
    return this.part?.peek(key);
  }

  /** Its index among the partitions of L1; `undefined` when L1 is switched off. */
  get partitionId(): number | undefined {
    return this.part?.index.id;
  }

  /** Number of entries, including expired ones that have not been removed yet. */
  get entryCount(): number {
    return this.part?.entryCount ?? 0;
  }

  /** Estimated heap of the entries, in bytes. */
  get usedBytes(): number {
    return this.part?.usedBytes ?? 0;
  }

  /** The entries that rank first, in descending order; none when L1 is switched off. */
  top(by: TopOrder, limit: number): TopEntry[] {
    return this.part?.top(by, limit) ?? [];
  }

  /** How many entries have this tag, those that are outdated not counted. Searches all tagged entries. */
  countTagged(scope: TagScope | undefined): number {
    return (scope && this.part?.countTagged(scope)) ?? 0;
  }

  /** Takes the uses since the last call, of the keys that were used most; none when L1 is switched off. */
  takeUses(limit: number): KeyUses[] {
    return this.part?.takeUses(limit) ?? [];
  }

  /** The rest of the entry's fresh life, in milliseconds; zero or less when it is stale. */
  remainingMs(key: string, entry: LocalEntry, nowMs = this.runtime.clock.nowMs()): number {
    const { redis, config } = this.runtime;
    const ttlMs = entry.expiresAtMs - nowMs;
    if (redis === undefined || this.isFullyTracked()) {
      return ttlMs;
    }
    const valueKey = this.valuePrefix + key;
    const outageSinceMs = redis.connection.outageSinceMs(valueKey);
    if (outageSinceMs === undefined) {
      return redis.changes.tracksChanges(valueKey)
        ? ttlMs
        : Math.min(ttlMs, entry.storedAtMs + UNTRACKED_TTL_MS - nowMs);
    }
    return config.fallback === false
      ? 0
      : Math.min(ttlMs, Math.max(entry.storedAtMs, outageSinceMs) + config.fallback.ttlMs - nowMs);
  }

  /** The time by the clock of L1. */
  nowMs(): number {
    return this.runtime.clock.nowMs();
  }

  /** Stores a value. While L1 may not be trusted for its key, the value is not stored, and an older one is dropped. */
  keep(key: string, stored: StoredValue | DeferredJson, options: LocalPutOptions): void {
    if (!this.isTrusted(key)) {
      // Redis may become unavailable next, and L1 be trusted again: then this older copy would be returned.
      this.delete(key);
    } else {
      this.part?.put(key, stored, options);
    }
  }

  /** Stores a value that is not in Redis: see {@link untrackedLife} and {@link dropUnsent}. */
  keepUnsent(key: string, stored: StoredValue | DeferredJson, options: LocalPutOptions & EntryLife): void {
    if (this.runtime.redis?.connection.isInDoubt(this.valuePrefix + key) === true) {
      this.unsent.add(key);
    }
    const { ttlMs, graceMs } = this.untrackedLife(key, options);
    this.keep(key, stored, { ...options, ttlMs, graceMs });
  }

  /** Drops the values that were kept, and not sent, while Redis was in doubt. */
  dropUnsent(): void {
    this.unsent.forEach((key) => this.delete(key));
    this.unsent.clear();
  }

  /**
   * The life of a copy of a value that Redis refused to store although it serves (`OOM`, `READONLY`). Redis reports no
   * change of a key that it does not hold, so such a copy is trusted only for as long as processes may disagree.
   */
  private untrackedLife(key: string, life: EntryLife): EntryLife {
    const { redis, config } = this.runtime;
    const serves =
      redis?.connection.isLive === true && redis.connection.outageSinceMs(this.valuePrefix + key) === undefined;
    return serves ? { ...life, ttlMs: Math.min(life.ttlMs, config.heartbeatMs) } : life;
  }

  delete(key: string): boolean {
    return this.part?.delete(key) ?? false;
  }

  /**
   * Ends the fresh life of an entry and keeps it as stale for its own grace, or for `leastGraceMs` if that is longer; without either it is dropped.
   * @returns whether there was one
   */
  expire(key: string, leastGraceMs: number): boolean {
    const nowMs = this.nowMs();
    const entry = this.find(key, nowMs);
    if (entry === undefined) {
      this.delete(key); // a copy whose tags are in doubt must not become fresh again
      return false;
    }
    const { marks, loadMs, createdAtMs } = entry;
    const graceMs = Math.max(leastGraceMs, entry.keptUntilMs - entry.expiresAtMs);
    if (graceMs === 0) {
      return this.delete(key);
    }
    const lifeMs = Math.max(0, entry.lifeMs - (entry.expiresAtMs - nowMs)); // it ends now
    this.keep(key, entry, { ttlMs: 0, graceMs, marks, loadMs, lifeMs, createdAtMs });
    return true;
  }

  /** Starts a new epoch: no entry that was stored before is trusted any more. O(1). */
  startEpoch(): void {
    this.unsent.clear();
    this.part?.startEpoch();
  }

  /** Whether L1 may answer for this key at this moment. */
  isTrusted(key: string): boolean {
    const { redis, config, closing, coarseClock } = this.runtime;
    if (closing.aborted) {
      return false;
    }
    coarseClock.nowMs(); // a read of the clock checks for an overdue heartbeat: see `DistributedCache.checkForPause`
    if (redis === undefined || this.isFullyTracked()) {
      return true;
    }
    const valueKey = this.valuePrefix + key;
    if (redis.connection.isLive && redis.connection.outageSinceMs(valueKey) === undefined) {
      // remedy: no-trust-without-channel
      return redis.changes.tracksChanges(valueKey) || redis.changes.state === 'announced';
    }
    return config.fallback !== false;
  }
}

/** From this length of its JSON, L1 may keep the text instead of the value; below it, the text is not smaller. */
const TEXT_FROM_LENGTH = 512;

/** A value as its caller gets it, and as L1 keeps it. */
interface LocalForms {
  readonly stored: StoredValue;
  readonly forLocal: StoredValue | DeferredJson;
}

/**
 * Makes the values of one namespace safe to keep in L1, and gives them to their readers.
 *
 * The mode of a call (`values`) decides what the call gets, whatever the mode of the call that stored the value. A value
 * is kept for the mode of the call that stores it; a call of another mode may have to copy it.
 */
export class LocalValues {
  private readonly rereads = new RereadPredictor();

  constructor(
    private readonly codec: EntryCodec,
    private readonly namespaceMode: ValuesMode,
    private readonly classes: ClassRegistry,
  ) {}

  /** The length of its JSON from which a value may be kept as text. */
  textFrom(mode = this.namespaceMode): number {
    return mode === 'shared' ? Infinity : TEXT_FROM_LENGTH;
  }

  /** The value for one reader. */
  read(stored: StoredValue, mode = this.namespaceMode): unknown {
    return readStored(stored, mode);
  }

  storable(
    { value, isTree, isAscii }: Omit<Decoded, 'text'>,
    origin: ValueOrigin,
    mode = this.namespaceMode,
  ): StoredValue {
    return storeValue(value, mode, { origin, isTree, isAscii, copyInstance: this.classes.copyInstance });
  }

  /** A value kept as its JSON text, which the first read parses. */
  deferred(text: string, isWide: boolean, mode = this.namespaceMode): DeferredJson {
    return new DeferredJson(text, isWide, (read) => this.parsed(read, mode));
  }

  /**
   * A value that was read from Redis, for its callers and for L1. A text is kept only of an origin `decoded`. In mode
   * `cloned` the first caller gets the decoded value itself.
   */
  found(decoded: Decoded, origin: ValueOrigin, mode = this.namespaceMode): LocalForms {
    const { value, text, isAscii } = decoded;
    const isCloned = mode === 'cloned';
    if (text === undefined || text.length < this.textFrom(mode) || !isObject(value) || !this.rereads.prefersText()) {
      const stored = this.storable(decoded, isCloned ? 'given' : origin, mode);
      return { stored: isCloned ? withSpare(stored, value) : stored, forLocal: stored };
    }
    this.rereads.onKept();
    const forLocal = new DeferredJson(text, !isAscii, (read) => {
      this.rereads.onReread();
      return this.parsed(read, mode);
    });
    if (isCloned) {
      const remake = (): unknown => this.codec.parse(text).value;
      return { stored: { value: undefined, bytes: 0, form: 'own', spare: { value }, remake }, forLocal };
    }
    prepareTree(value, { flattens: false, freezes: true, isAscii });
    return { stored: { value, bytes: 0, form: 'frozen', isTree: true }, forLocal };
  }

  /**
   * A value that no tier keeps, for the callers of its load. One that can't be copied (a stream, an instance with private
   * state) is returned as it is: {@link isForSeveral} tells whether several callers may have it.
   * @param isSpare whether the first caller gets the value itself; default true
   */
  unkept(value: unknown, mode = this.namespaceMode, isSpare = true): StoredValue {
    if (mode === 'shared' || !isObject(value)) {
      return asItIs(value);
    }
    try {
      const stored = this.copyable(value, mode);
      return isSpare ? withSpare(stored, value) : stored;
    } catch {
      return asItIs(value);
    }
  }

  /** What the codec does not keep exactly, such as an instance of a class, is copied as it would come from Redis. */
  private copyable(value: object, mode: ValuesMode): StoredValue {
    const { classes } = this;
    if (inspectValue(value, { classes }).isExact) {
      return storeValue(value, mode, { copyInstance: this.classes.copyInstance });
    }
    const { serializer, text } = serialize(value, classes);
    return this.storable(asDecoded(deserialize(serializer, text, classes)), 'decoded', mode);
  }

  /** A value once more, for the same caller: another object in mode `cloned`. */
  again(value: unknown, mode = this.namespaceMode): unknown {
    return mode === 'cloned' ? this.read(this.unkept(value, mode, false), mode) : value;
  }

  private parsed(text: string, mode: ValuesMode): StoredValue {
    return this.storable(this.codec.parse(text), 'decoded', mode);
  }

  /**
   * Whether several callers may have a value that no tier keeps: each gets a copy, or, in mode `shared`, all of them get
   * the same data. A stream, a function and the like are used up by one caller.
   */
  isForSeveral(value: unknown, { form }: StoredValue, mode = this.namespaceMode): boolean {
    if (mode !== 'shared') {
      return form !== 'plain' || (!isObject(value) && typeof value !== 'function');
    }
    try {
      inspectValue(value, { classes: this.classes });
      return true;
    } catch (error) {
      return toRefusedError(error).reason !== 'unserializable';
    }
  }
}

/** Gives the first reader of a stored value this object, unless readers share what is stored. L1 does not keep it. */
export function withSpare(stored: StoredValue, value: unknown): StoredValue {
  if (stored.form === 'own') {
    stored.spare = { value };
  }
  return stored;
}

/** The number of texts that are counted; then the counts are halved, so that older texts count less. */
const WINDOW = 64;
/** While values are kept as they are, one of this number is still kept as text, to notice when rereads become rare. */
const PROBE_EVERY = 16;
/** Parsing a text costs about three times what keeping it has saved, apart from memory. */
const COST_OF_REREADING = 3;

/**
 * Chooses the form in which L1 keeps a value that was read from Redis: its JSON text or the value itself.
 *
 * The text takes half the memory and needs no walk over the value, but the next reader parses it again. Many values
 * that are read once are never read again (one-hit wonders: Yang et al., FIFO queues are all you need for cache
 * eviction, SOSP 2023), but not in every namespace. So the choice depends on how many of the last texts were read
 * again.
 */
export class RereadPredictor {
  private kept = 0;
  private reread = 0;
  private sinceProbe = 0;

  /** Whether the next value should be kept as text. */
  prefersText(): boolean {
    if (this.reread * COST_OF_REREADING <= this.kept) {
      return true;
    }
    this.sinceProbe = (this.sinceProbe + 1) % PROBE_EVERY;
    return this.sinceProbe === 0;
  }

  /** A text is kept. */
  onKept(): void {
    if (++this.kept === WINDOW) {
      this.kept /= 2;
      this.reread /= 2;
    }
  }

  /** A value that was kept as text is read again. */
  onReread(): void {
    this.reread = Math.min(this.reread + 1, this.kept);
  }
}
