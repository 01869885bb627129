import { CorruptEntryError } from '../errors/index.js';
import type { KeyLayout } from '../keys/index.js';
import { allOf, inPieces, piecesOf, type PieceLimits, type RedisTier } from '../redis/index.js';
import type { EntryValidity } from './entry-validity.js';
import { UNREACHABLE, type Operation, type RemoteFaults, type RemoteLookup } from './remote-outcomes.js';
import type { RedisRuntime } from './runtime.js';
import type { HeldStamp } from './stamps.js';

/** Looks up the entries of one namespace in Redis; a part of `RemoteTier`. No method throws. */
export class RemoteReads {
  constructor(
    private readonly redis: RedisRuntime,
    private readonly tier: RedisTier,
    private readonly layout: KeyLayout,
    private readonly stamp: HeldStamp,
    private readonly validity: EntryValidity,
    private readonly faults: RemoteFaults,
  ) {}

  /** Looks up one key. Every hit in Redis takes this path, so it waits for nothing that is there already. */
  async find(key: string): Promise<RemoteLookup> {
    const valueKey = this.layout.valueKey(key);
    const { held } = this.stamp;
    const { deadlineClock } = this.redis.connection;
    const askedAtMs = deadlineClock.nowMs();
    const wasJournalled = this.validity.isJournalled(key);
    try {
      if (held === undefined) {
        return await deadlineClock.withinRest('GET', askedAtMs, this.findUnderNewStamp(key, valueKey, wasJournalled));
      }
      const bytes = await this.tier.read(valueKey);
      const decoding = bytes === null ? undefined : this.tier.entryIn(valueKey, bytes, askedAtMs);
      const checking = this.validity.lookupOf(
        key,
        decoding instanceof Promise ? await decoding : decoding,
        held,
        wasJournalled,
      );
      return checking instanceof Promise ? await deadlineClock.withinRest('GET', askedAtMs, checking) : checking;
    } catch (error) {
      return error instanceof CorruptEntryError ? this.corrupt(error) : this.unreachable('get', error);
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
    const groups = this.redis.tier.groups(keys, (key) => this.layout.valueKey(key));
    const [only] = groups;
    if (groups.length === 1 && only !== undefined && only.length <= this.tier.keysPerRead) {
      return this.findPiece(only);
    }
    const found = new Map<string, RemoteLookup>();
    await byPieces(groups, { maxItems: this.tier.keysPerRead, maxBytes: Infinity, bytesOf: () => 0 }, async (piece) => {
      const lookups = await this.findPiece(piece);
      piece.forEach((key, index) => found.set(key, lookups[index] ?? UNREACHABLE));
    });
    return keys.map((key) => found.get(key) ?? UNREACHABLE);
  }

  private async findPiece(keys: readonly string[]): Promise<readonly RemoteLookup[]> {
    const { deadlineClock } = this.redis.connection;
    const askedAtMs = deadlineClock.nowMs();
    const wereJournalled = this.validity.journalledOf(keys);
    try {
      const reading = this.tier.getMany(keys.map((key) => this.layout.valueKey(key)));
      const { held } = this.stamp;
      const [entries, stamp] =
        held === undefined
          ? await deadlineClock.withinRest('GET', askedAtMs, Promise.all([reading, this.stamp.current()]))
          : [await reading, held];
      const checking = allOf(
        keys.map((key, index) => {
          const entry = entries[index];
          const readable = entry instanceof CorruptEntryError ? this.unreadable(entry) : entry;
          return this.validity.lookupOf(key, readable, stamp, wereJournalled.has(key));
        }),
      );
      return checking instanceof Promise ? await deadlineClock.withinRest('GET', askedAtMs, checking) : checking;
    } catch (error) {
      this.faults.report('get', error);
      return keys.map(() => UNREACHABLE);
    }
  }

  /** The result for a corrupt entry: a miss with the current stamps, so that a load in its place can be stored. */
  private corrupt(error: CorruptEntryError): RemoteLookup {
    this.faults.report('get', error);
    const { held } = this.stamp;
    return held === undefined ? UNREACHABLE : { state: 'miss', stamps: this.validity.stampsUnder(held) };
  }

  /** Turns an entry that can't be read into a miss; any other error is the tier's. */
  private unreadable(error: unknown): undefined {
    if (!(error instanceof CorruptEntryError)) {
      throw error;
    }
    this.faults.report('get', error);
    return undefined;
  }

  private unreachable(operation: Operation, error: unknown): RemoteLookup {
    this.faults.report(operation, error);
    return UNREACHABLE;
  }
}

/** Does work in pieces of limited size, separately for each group of keys. */
export async function byPieces<Item>(
  groups: readonly (readonly Item[])[],
  limits: PieceLimits<Item>,
  work: (piece: readonly Item[]) => Promise<void>,
): Promise<void> {
  await Promise.all(groups.map((group) => inPieces(piecesOf(group, limits), work)));
}
