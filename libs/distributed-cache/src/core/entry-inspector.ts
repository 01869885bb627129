import { type CacheKey, encodeKey, type KeyLayout } from '../keys/index.js';
import type { InspectedEntry } from '../redis/index.js';
import type { RedisRuntime } from './cache-runtime.js';
import type { EntryInspection, LocalInspection, RedisInspection, TagInspection } from './entry-inspection.js';
import type { NamespaceRooms } from './namespace-rooms.js';
import { CLEAR } from './entry-judge.js';
import { versionOf } from './value-check.js';

/** Inspects an entry without side effects: nothing is counted, emitted, marked as used or written. */
export class EntryInspector {
  constructor(
    private readonly namespace: string,
    private readonly rooms: NamespaceRooms,
  ) {}

  async inspect(key: CacheKey): Promise<EntryInspection> {
    const { layout, flights, remote } = this.rooms;
    const encodedKey = encodeKey(key);
    const local = this.inspectLocal(encodedKey); // before the wait for Redis, in which it could change
    return {
      namespace: this.namespace,
      key: encodedKey,
      redisKey: layout.valueKey(encodedKey),
      local,
      isLoading: flights.joinable(encodedKey) !== undefined,
      isJournalled: remote?.judge.isToBeForgotten(encodedKey) === true,
      redis: await this.inspectRedis(encodedKey),
    };
  }

  private inspectLocal(key: string): LocalInspection {
    const { runtime, local, tags } = this.rooms;
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
      isTrusted: local.isTrusted(key),
      heapBytes: entry.bytes,
      isCopiedOnRead: entry.copyOnRead,
    };
  }

  private async inspectRedis(key: string): Promise<RedisInspection> {
    const { redis } = this.rooms.runtime;
    const { remote } = this.rooms;
    if (redis === undefined || remote === undefined) {
      return { state: 'none' };
    }
    try {
      const { layout } = this.rooms;
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
    const isOfNow = clearStamp !== undefined && stamps.get(CLEAR) === clearStamp;
    const ttlMs = redis.tier.remainingMs(valueKey, header);
    return {
      state: ttlMs > 0 ? 'fresh' : 'stale',
      ageMs: Math.max(0, redis.connection.serverNowMs(valueKey) - header.createdAtMs),
      ttlMs,
      graceMs: Math.max(0, keptMs - Math.max(0, ttlMs)),
      tags,
      isCurrent: isOfNow && version === this.rooms.policy.version && tags.every(({ isCurrent }) => isCurrent),
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
