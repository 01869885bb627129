import { asDecoded } from '../codec/index.js';
import { allOf } from '../redis/index.js';
import type { FilledKeys } from '../warm/warm-up.js';
import type { Companion } from './companions.js';
import type { Flight } from './flight.js';
import type { Flights } from './flights.js';
import { type FoundEntry, type ReadResult, UNREACHABLE, type RemoteLookup } from './outcomes.js';
import type { LocalTier, LocalValues } from './local-tier.js';
import type { Checked, ValueChecks } from './value-check.js';
import type { RemoteTier } from './remote-tier.js';

/** Work whose result L1 keeps unless its key has changed meanwhile. */
type Watched = Pick<Flight, 'isTainted' | 'check' | 'values' | 'ahead'>;

type FoundLookup = Extract<RemoteLookup, { state: 'found' }>;

/** Runs a read of several keys. */
type AroundRead = (
  missing: readonly string[],
  read: () => Promise<readonly ReadResult[]>,
) => Promise<readonly ReadResult[]>;

const NOTHING: ReadResult = Object.freeze({ found: undefined, stamps: undefined });

/**
 * Reads the entries of one namespace: first L1, then Redis, whose values are kept in L1 for the rest of their life. A
 * read whose key changes meanwhile is still answered, and not kept.
 */
export class EntryReader {
  constructor(
    private readonly flights: Flights,
    private readonly local: LocalTier,
    private readonly remote: RemoteTier | undefined,
    readonly checks: ValueChecks,
    readonly values: LocalValues,
    /** The grace of the namespace, in milliseconds. */
    private readonly graceMs: number,
  ) {}

  /**
   * Reads Redis, and L1 while Redis can't be asked, after L1 had no fresh value. Concurrent reads of one key share one
   * request. Never rejects.
   */
  read(key: string): Promise<ReadResult> {
    const { remote } = this;
    return remote === undefined
      ? Promise.resolve(this.readLocal(key))
      : this.flights.read(key, (flight) => this.keepShared(key, this.ask(key, remote), flight));
  }

  /** Reads Redis, for {@link checkAndKeep}; `undefined` when no Redis is configured. Never rejects. */
  find(key: string): Promise<RemoteLookup> | undefined {
    return this.remote && this.ask(key, this.remote);
  }

  /** Reads Redis after a miss of L1, and in the same command the companions of the key. */
  private ask(key: string, remote: RemoteTier): Promise<RemoteLookup> {
    const { companions } = this.local;
    if (companions === undefined || !this.local.isTrusted(key)) {
      return remote.reads.find(key);
    }
    const { slots } = this.flights;
    const others = companions.after(key, (other) => !slots.has(other) && this.local.wants(other));
    const finding = remote.reads.find(key, others.length === 0 ? 'alone' : 'joined');
    others.forEach((other) => void this.readAhead(other, remote));
    return finding;
  }

  /** Reads a key that no caller has asked for, for L1. Its faults are not reported. Never rejects. */
  private async readAhead(companion: Companion, remote: RemoteTier): Promise<void> {
    const { key } = companion;
    const { stamps } = await this.flights.read(key, (flight) => {
      flight.ahead = companion;
      return this.keepShared(key, remote.reads.find(key, 'ahead'), flight);
    });
    if (!companion.isKept && stamps !== undefined) {
      companion.onJudged(false);
    }
  }

  /** Learns from a miss of L1 whose key is not read. */
  learn(key: string): void {
    this.local.companions?.learn(key);
  }

  /** The entry of a key, fresh or stale: from L1 if it is fresh there, else from Redis. */
  async any(key: string): Promise<FoundEntry | undefined> {
    return this.freshLocal(key) ?? (await this.read(key)).found;
  }

  /**
   * The fresh entries of several keys, in the order of `keys`, in one round trip for those that L1 lacks.
   * @param around runs the read of those
   */
  async freshMany(
    keys: readonly string[],
    around: AroundRead = (_missing, read) => read(),
  ): Promise<(FoundEntry | undefined)[]> {
    const local = keys.map((key) => this.freshLocal(key));
    const missing = [...new Set(keys.filter((_, index) => local[index] === undefined))];
    const reads = missing.length === 0 ? [] : await around(missing, () => this.readMany(missing));
    const fromRedis = new Map(missing.map((key, index) => [key, onlyFresh(reads[index]?.found)]));
    return keys.map((key, index) => local[index] ?? fromRedis.get(key));
  }

  /** Reads several keys in one round trip; otherwise like {@link read}. */
  async readMany(keys: readonly string[]): Promise<readonly ReadResult[]> {
    const { remote } = this;
    if (remote === undefined) {
      return keys.map((key) => this.readLocal(key));
    }
    const group = this.flights.beginGroup(keys);
    try {
      return await this.readFor(keys.map((encodedKey) => ({ encodedKey, flight: group.flightOf(encodedKey) })));
    } finally {
      this.flights.endGroup(group);
    }
  }

  /** Reads keys of Redis, as {@link readMany} does, to have them in L1. */
  async fill(keys: readonly string[]): Promise<FilledKeys> {
    const reads = await this.readMany(keys);
    const isKept = ({ found }: ReadResult): boolean => found?.tier === 'redis' && found.ttlMs > 0;
    const isMissing = ({ found, stamps }: ReadResult): boolean => found === undefined && stamps !== undefined;
    return {
      kept: reads.filter(isKept).length,
      missing: keys.filter((_, index) => isMissing(reads[index] ?? NOTHING)),
      unreachable: reads.filter(({ stamps }) => stamps === undefined).length,
    };
  }

  /** Reads several keys, each for a flight that has begun; otherwise like {@link readMany}. */
  async readFor(
    reads: readonly { readonly encodedKey: string; readonly flight: Watched }[],
  ): Promise<readonly ReadResult[]> {
    const lookups = await this.remote?.reads.findMany(reads.map(({ encodedKey }) => encodedKey));
    return allOf(
      reads.map(({ encodedKey, flight }, index) =>
        this.checkAndKeep(encodedKey, lookups?.[index] ?? UNREACHABLE, flight),
      ),
    );
  }

  /**
   * Checks a result of Redis. A fresh value that passes its check is kept in L1, unless the flight is tainted. The
   * result is a promise only if the check is asynchronous.
   * @param refusedAtMs an entry made at that moment has been refused already
   */
  checkAndKeep(
    key: string,
    lookup: RemoteLookup,
    flight: Watched,
    refusedAtMs?: number,
  ): ReadResult | Promise<ReadResult> {
    if (lookup.state === 'unreachable') {
      return this.readLocal(key);
    }
    if (lookup.state === 'miss') {
      return { found: undefined, stamps: lookup.stamps };
    }
    const { value, header } = lookup.entry;
    if (header.createdAtMs === refusedAtMs) {
      return refused(lookup);
    }
    const checked = (flight.check ?? this.checks.ofNamespace).read(key, value, header.stamps);
    if (!(checked instanceof Promise)) {
      return this.keepChecked(key, lookup, checked, flight);
    }
    const tagVersions = lookup.tagVersions?.map(({ scope }) => ({ scope, generation: scope.generation }));
    return checked.then((result) =>
      tagVersions?.some(({ scope, generation }) => scope.generation !== generation) === true
        ? { found: undefined, stamps: lookup.stamps } // a tag was invalidated during the check: a later caller may have joined
        : this.keepChecked(key, lookup, result, flight),
    );
  }

  /** The result for a value that was checked. L1 keeps a fresh value. */
  private keepChecked(key: string, lookup: FoundLookup, checked: Checked, flight: Watched): ReadResult {
    if (typeof checked === 'string') {
      return refused(lookup);
    }
    const { entry, ttlMs, ageMs, stamps, tagVersions } = lookup;
    const { stored, forLocal } = this.values.found(
      checked.isAsRead ? entry : asDecoded(checked.value),
      checked.isAsRead ? 'decoded' : 'given',
      flight.values,
    );
    const { loadMs, createdAtMs, expiresAtMs } = entry.header;
    const fullTtlMs = expiresAtMs - createdAtMs;
    if (ttlMs > 0 && !flight.isTainted) {
      const { graceMs } = this;
      const { ahead } = flight;
      // remedy: copy-keeps-rest-of-ttl
      const facts = { ttlMs, graceMs, marks: tagVersions, loadMs, lifeMs: fullTtlMs, createdAtMs, ahead };
      this.local.keep(key, forLocal, facts);
    }
    const storedBytes = entry.bytes;
    return { found: { tier: 'redis', stored, ttlMs, ageMs, loadMs, fullTtlMs, storedBytes }, stamps };
  }

  private async keepShared(key: string, finding: Promise<RemoteLookup>, flight: Flight): Promise<ReadResult> {
    try {
      const checking = this.checkAndKeep(key, await finding, flight);
      return checking instanceof Promise ? await checking : checking;
    } finally {
      this.flights.end(key, flight);
    }
  }

  freshLocal(key: string): FoundEntry | undefined {
    return onlyFresh(this.foundLocally(key));
  }

  /** Reads L1 alone, also an entry past its TTL; for the time without Redis. */
  readLocal(key: string): ReadResult {
    const found = this.foundLocally(key);
    return found === undefined ? NOTHING : { found, stamps: undefined };
  }

  private foundLocally(key: string): FoundEntry | undefined {
    const nowMs = this.local.nowMs();
    const entry = this.local.find(key, nowMs);
    if (entry === undefined) {
      return undefined;
    }
    return {
      tier: 'local',
      stored: entry,
      ttlMs: this.local.remainingMs(key, entry, nowMs),
      // Of a copy from Redis: since the value was stored there.
      ageMs: Math.max(nowMs - entry.storedAtMs, entry.lifeMs - (entry.expiresAtMs - nowMs)),
      loadMs: entry.loadMs,
      fullTtlMs: entry.lifeMs,
      storedBytes: undefined,
    };
  }
}

function refused({ entry, stamps }: FoundLookup): ReadResult {
  return { found: undefined, stamps, refusedAtMs: entry.header.createdAtMs };
}

export function onlyFresh(found: FoundEntry | undefined): FoundEntry | undefined {
  return found !== undefined && found.ttlMs > 0 ? found : undefined;
}
