import type { ResolvedNamespace } from '../config/index.js';
import type { Stamp } from '../codec/index.js';
import type { AnsweringTier } from '../events/index.js';
import { storeValue, type CopyInstance, type StoredValue } from '../local/index.js';
import { FlightRegistry, type Flight } from './flight-registry.js';
import type { LocalView } from './local-view.js';
import type { RemoteLookup } from './remote-contract.js';
import type { RemoteView } from './remote-view.js';

/** A value found in a tier. */
export interface FoundEntry {
  readonly tier: AnsweringTier;
  readonly stored: StoredValue;
  /** What is left of its fresh life, in milliseconds; zero or less: it is stale. */
  readonly ttlMs: number;
  readonly ageMs: number;
  /** How long its loader took, in milliseconds; 0: unknown. */
  readonly loadMs: number;
  /** Its whole fresh life, in milliseconds. */
  readonly lifeMs: number;
}

/** What the tiers know of a key. */
export interface ReadResult {
  readonly found: FoundEntry | undefined;
  /** The stamps that were current at this moment, for whoever loads now; `undefined` while Redis can't be asked. */
  readonly stamps: readonly Stamp[] | undefined;
}

const NOTHING: ReadResult = Object.freeze({ found: undefined, stamps: undefined });

/**
 * Reads one namespace's entries: L1, then Redis, whose values go to L1 with what is left of their life. Concurrent reads of
 * a key share one. A read that a write or deletion overtakes is still answered, and not kept.
 */
export class EntryReader {
  private readonly flights = new FlightRegistry<ReadResult>();

  constructor(
    private readonly local: LocalView,
    private readonly remote: RemoteView | undefined,
    private readonly namespace: ResolvedNamespace,
    private readonly copyInstance: CopyInstance | undefined,
  ) {}

  /** What both tiers know, after L1 had no fresh value. Never rejects. */
  read(key: string): Promise<ReadResult> {
    const { remote } = this;
    if (remote === undefined) {
      return Promise.resolve(this.readLocal(key));
    }
    return (
      this.flights.running(key) ??
      this.flights.share(key, async (flight) => this.accept(key, await remote.find(key), flight))
    );
  }

  /** As {@link read}, for several keys in one round trip. */
  async readMany(keys: readonly string[]): Promise<ReadResult[]> {
    const { remote } = this;
    if (remote === undefined) {
      return keys.map((key) => this.readLocal(key));
    }
    return this.flights.watch(keys, async (flights) => {
      const lookups = await remote.findMany(keys);
      return keys.map((key, index) => this.accept(key, lookups[index] ?? { state: 'unreachable' }, flights[index]));
    });
  }

  /** The key has changed: a read under way is not kept. */
  detach(key: string): void {
    this.flights.detach(key);
  }

  detachAll(): void {
    this.flights.detachAll();
  }

  /** Takes what Redis said: a fresh value goes to L1, unless the flight was overtaken. */
  accept(key: string, lookup: RemoteLookup, flight: Flight | undefined): ReadResult {
    if (lookup.state === 'unreachable') {
      return this.readLocal(key);
    }
    if (lookup.state === 'miss') {
      return { found: undefined, stamps: lookup.stamps };
    }
    const { entry, ttlMs, ageMs, stamps, marks } = lookup;
    const stored = storeValue(entry.value, this.namespace.values, this.copyInstance);
    const { loadMs, createdAtMs, expiresAtMs } = entry.header;
    const lifeMs = expiresAtMs - createdAtMs;
    if (ttlMs > 0 && flight?.overtaken === false) {
      this.local.keep(key, stored, { ttlMs, graceMs: this.namespace.graceMs }, { marks, loadMs, lifeMs });
    }
    return { found: { tier: 'redis', stored, ttlMs, ageMs, loadMs, lifeMs }, stamps };
  }

  /** Without Redis L1 has the last word, also for a value past its TTL. */
  private readLocal(key: string): ReadResult {
    const entry = this.local.find(key);
    if (entry === undefined) {
      return NOTHING;
    }
    const found: FoundEntry = {
      tier: 'local',
      stored: entry,
      ttlMs: this.local.remainingMs(entry),
      ageMs: this.local.ageMs(entry),
      loadMs: entry.loadMs,
      lifeMs: entry.lifeMs,
    };
    return { found, stamps: undefined };
  }
}
