import type { CompressorId, SerializerId } from '../codec/index.js';
import { type CacheKey, CLEAR, encodeKey, type KeyLayout } from '../keys/index.js';
import { isCopied } from '../local/index.js';
import type { EntryLives, LocalInspection, ProcessPart, TagInspection } from '../ops/index.js';
import type { InspectedEntry } from '../redis/index.js';
import type { CacheRuntime, RedisRuntime } from './runtime.js';
import type { Flights } from './flights.js';
import type { LocalTier } from './local-tier.js';
import type { RemoteTier } from './remote-tier.js';
import type { TagRegistry } from './tags.js';
import type { ResolvedNamespace } from '../config/index.js';
import { versionOf } from './value-check.js';

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
  | (EntryLives & {
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
export interface EntryInspection extends ProcessPart {
  readonly namespace: string;
  /** The key in the form that every tier uses. */
  readonly key: string;
  /** Its full name in Redis, for redis-cli. */
  readonly redisKey: string;
  readonly redis: RedisInspection;
}

/** Inspects an entry without side effects: nothing is counted, emitted, marked as used or written. */
export class EntryInspector {
  constructor(
    private readonly namespace: string,
    private readonly runtime: CacheRuntime,
    private readonly policy: ResolvedNamespace,
    private readonly layout: KeyLayout,
    private readonly flights: Flights,
    private readonly local: LocalTier,
    private readonly remote: RemoteTier | undefined,
    private readonly tags: TagRegistry,
  ) {}

  async inspect(key: CacheKey): Promise<EntryInspection> {
    const encodedKey = encodeKey(key);
    return {
      namespace: this.namespace,
      key: encodedKey,
      redisKey: this.layout.valueKey(encodedKey),
      ...this.inspectHere(encodedKey), // before the wait for Redis, in which it could change
      redis: await this.inspectRedis(encodedKey),
    };
  }

  /** What this process alone holds of an entry. @param key the key in the form that every tier uses */
  inspectHere(key: string): ProcessPart {
    return {
      local: this.inspectLocal(key),
      isLoading: this.flights.joinable(key) !== undefined,
      isJournalled: this.remote?.validity.isJournalled(key) === true,
    };
  }

  private inspectLocal(key: string): LocalInspection {
    const { runtime, local, tags } = this;
    if (runtime.local === undefined) {
      return { state: 'off' };
    }
    const nowMs = runtime.clock.nowMs();
    const entry = local.peek(key);
    if (entry === undefined || entry.keptUntilMs <= nowMs) {
      return { state: 'missing' };
    }
    const ttlMs = local.remainingMs(key, entry, nowMs);
    const marks = entry.marks ?? [];
    const inspected = marks.map(({ scope, generation }) => ({
      name: tags.nameOf(scope) ?? '',
      isCurrent: scope.generation === generation,
    }));
    return {
      state: ttlMs > 0 ? 'fresh' : 'stale',
      ageMs: nowMs - entry.storedAtMs,
      ttlMs,
      graceMs: entry.keptUntilMs - Math.max(nowMs, entry.expiresAtMs),
      tags: inspected,
      isCurrent: entry.isOfNow && inspected.every(({ isCurrent }) => isCurrent),
      isTrusted: local.isTrusted(key) && marks.every(({ scope }) => scope.isInDoubt !== true),
      heapBytes: entry.bytes,
      isCopiedOnRead: isCopied(entry.form, this.policy.values),
    };
  }

  private async inspectRedis(key: string): Promise<RedisInspection> {
    const { layout, remote } = this;
    const { redis } = this.runtime;
    if (redis === undefined || remote === undefined) {
      return { state: 'none' };
    }
    try {
      const found = await remote.inspect(key);
      return await this.describe(found, redis, layout, layout.valueKey(key));
    } catch {
      return { state: 'unreachable' };
    }
  }

  private async describe(
    found: InspectedEntry,
    redis: RedisRuntime,
    layout: KeyLayout,
    valueKey: string,
  ): Promise<RedisInspection> {
    const { lease, storedBytes } = found;
    if (found.state === 'missing') {
      return { state: 'missing', lease };
    }
    if (found.state === 'corrupt') {
      return { state: 'corrupt', reason: found.reason, storedBytes, lease };
    }
    const { header, keptMs } = found;
    const stamps = new Map(header.stamps);
    const version = versionOf(header.stamps) ?? undefined;
    const names = [...stamps.keys()].filter((name) => !name.startsWith('#'));
    const [clearStamp, ...tagStamps] = await Promise.all(
      [layout.clearStampKey, ...names.map((name) => layout.tagStampKey(name))].map((stampKey) =>
        redis.tier.readStamp(stampKey),
      ),
    );
    const tags: TagInspection[] = names.map((name, index) => ({
      name,
      isCurrent: tagStamps[index] === stamps.get(name),
    }));
    const hasCurrentStamp = clearStamp !== undefined && stamps.get(CLEAR) === clearStamp;
    const ttlMs = redis.tier.remainingMs(valueKey, header);
    return {
      state: ttlMs > 0 ? 'fresh' : 'stale',
      ageMs: Math.max(0, redis.connection.serverNowMs(valueKey) - header.createdAtMs),
      ttlMs,
      graceMs: Math.max(0, keptMs - Math.max(0, ttlMs)),
      tags,
      isCurrent: hasCurrentStamp && version === this.policy.version && tags.every(({ isCurrent }) => isCurrent),
      storedBytes,
      rawBytes: found.rawBytes,
      serializer: found.serializer,
      compressor: found.compressor,
      version,
      loadMs: header.loadMs,
      lease,
    };
  }
}
