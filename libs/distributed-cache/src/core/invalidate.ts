import { toMs, type Duration, type ResolvedNamespace } from '../config/index.js';
import { type CacheKey, encodeKey, TAG_STAMP } from '../keys/index.js';
import { type EntryLife, type NotKept, tagNames } from './entry-options.js';
import type { Flights } from './flights.js';
import type { LocalTier } from './local-tier.js';
import type { Recorder } from './recorder.js';
import type { RemoteTier } from './remote-tier.js';
import type { CacheRuntime } from './runtime.js';
import type { TagRegistry } from './tags.js';
import type { WrittenEntry } from './outcomes.js';

/**
 * Makes entries of one namespace invalid, in this process and in Redis.
 *
 * A change by this process first supersedes the work under way for its keys (reads and loads are answered and not
 * kept). Then it is sent to Redis, which ends loads elsewhere and notifies the other processes. A change by another
 * process, as Redis reports it, taints the work under way and drops the copy in L1.
 */
export class Invalidator {
  constructor(
    private readonly runtime: CacheRuntime,
    private readonly policy: ResolvedNamespace,
    private readonly flights: Flights,
    private readonly local: LocalTier,
    private readonly remote: RemoteTier | undefined,
    private readonly tags: TagRegistry,
    private readonly recorder: Recorder,
  ) {}

  /** Deletes keys from both tiers. @returns how many of the keys existed, as far as Redis could be asked */
  async delete(keys: readonly CacheKey[], holdOff?: Duration): Promise<number> {
    const { runtime, recorder, flights } = this;
    const holdOffMs = holdOff === undefined ? undefined : toMs(holdOff);
    const byEncodedKey = new Map(keys.map((key) => [encodeKey(key), key]));
    const encodedKeys = [...byEncodedKey.keys()];
    const locally = new Set(encodedKeys.filter((encodedKey) => this.drop(encodedKey)));
    if (holdOffMs !== undefined) {
      const nowMs = runtime.clock.nowMs();
      encodedKeys.forEach((encodedKey) => flights.holdOffs.add(encodedKey, nowMs + holdOffMs, nowMs));
    }
    const inRedis = runtime.config.enabled ? await this.deleteRemotely(encodedKeys, holdOffMs) : undefined;
    let count = 0;
    for (const [encodedKey, key] of byEncodedKey) {
      const existed = locally.has(encodedKey) || inRedis?.has(encodedKey) === true;
      count += existed ? 1 : 0;
      recorder.delete(key, existed);
    }
    return count;
  }

  /**
   * Makes an entry stale in both tiers for the grace that it was stored with, or that of the namespace if that is longer; without
   * either, deletes it.
   * @returns whether there was one
   */
  async expire(key: CacheKey): Promise<boolean> {
    const { runtime, policy, local, remote } = this;
    if (!runtime.config.enabled) {
      return (await this.delete([key])) > 0;
    }
    const encodedKey = encodeKey(key);
    this.flights.supersede(encodedKey);
    const locally = local.expire(encodedKey, policy.graceMs);
    const inRedis = await remote?.expire(encodedKey, policy.graceMs);
    if (remote?.validity.isJournalled(encodedKey) === true) {
      this.dropFresh(encodedKey);
    }
    const existed = inRedis ?? locally;
    this.recorder.expire(key, existed);
    return existed;
  }

  /** Makes every entry of the namespace a miss. */
  async clear(): Promise<void> {
    const { runtime, local, remote, flights, recorder } = this;
    // remedy: clear-supersedes-loads
    flights.supersedeAll();
    local.startEpoch();
    if (runtime.config.enabled) {
      await remote?.clear();
      local.startEpoch(); // also drops what was read under the old stamp meanwhile
    }
    recorder.clear();
  }

  /** Makes every entry that carries one of these tags a miss. */
  async invalidateTags(tags: readonly string[]): Promise<void> {
    const { runtime, remote } = this;
    const names = tagNames(tags);
    if (runtime.config.enabled) {
      await (remote === undefined
        ? Promise.all(names.map((name) => this.tags.invalidate(name)))
        : remote.invalidateTags(names));
    }
    this.recorder.invalidateTags([...new Set(tags)]);
  }

  /**
   * Completes a `set`. If no tier keeps the value, the previous value is dropped: it is no longer the value of the key.
   * @returns `undefined` when there is nothing to wait for
   */
  afterSet(key: CacheKey, encodedKey: string, life: EntryLife, written: WrittenEntry): Promise<unknown> | undefined {
    const { remote, recorder } = this;
    if (written.kept) {
      recorder.set(key, life.ttlMs, written.complete);
      if (!written.complete) {
        // Redis holds the previous value, and must delete it before the key is read again.
        remote?.journal(encodedKey);
      }
    } else if (!written.superseded) {
      return this.dropPrevious(encodedKey);
    }
    return undefined;
  }

  /**
   * Completes a `set` whose value is not kept (`cacheIf` refuses it, or a function of the options has gone wrong): the
   * previous value is outdated, and dropped.
   * @returns `undefined` when there is nothing to wait for
   */
  afterNotKept(key: CacheKey, encodedKey: string, decision: NotKept): Promise<unknown> | undefined {
    this.recorder.notKept(key, decision);
    return this.dropPrevious(encodedKey);
  }

  private dropPrevious(encodedKey: string): Promise<unknown> | undefined {
    this.drop(encodedKey);
    // A key in the journal is deleted later: this call has waited for Redis once already.
    return this.remote?.validity.isJournalled(encodedKey) === false ? this.deleteRemotely([encodedKey]) : undefined;
  }

  /**
   * Applies a change by another process.
   * @param encodedKey the part of the Redis key after the namespace: the key of an entry, or of a stamp
   * @param isOfReplica whether a replica has reported it: it reports the changes of this process as well
   */
  onRemoteChange(encodedKey: string, isOfReplica = false): void {
    const { tags, flights, local } = this;
    const mayBeOwn = isOfReplica && this.remote?.home?.mayBeOwn(encodedKey) === true;
    if (encodedKey.startsWith(TAG_STAMP)) {
      const name = encodedKey.slice(TAG_STAMP.length);
      tags.onMessage(name);
      if (flights.onTag(name, false)) {
        void tags.confirm(name); // a new stamp ends these loads, a longer life of the same stamp does not
      }
    } else if (encodedKey.startsWith('#')) {
      this.startEpoch(mayBeOwn ? 'doubted' : undefined);
    } else {
      local.delete(encodedKey);
      flights.taint(encodedKey, mayBeOwn ? 'doubted' : undefined);
    }
  }

  /** Another process's load of this key has ended without a value to store: the calls that wait for it go on. */
  onRemoteLoadEnded(encodedKey: string): void {
    this.flights.waits.end(encodedKey);
  }

  /** Reads stamps again; called at each heartbeat while Redis can be used. Never rejects. */
  async onHeartbeat(): Promise<void> {
    await this.remote?.touchStamps((encodedKey) => this.onRemoteChange(encodedKey));
  }

  /**
   * Starts a new epoch: this process may have missed changes, so nothing that it holds, or is about to keep, from
   * before is trusted.
   * @param change as in {@link Flights.taint}
   */
  startEpoch(change?: 'doubted'): void {
    this.local.startEpoch();
    this.flights.taintAll(change);
    this.remote?.forgetStamps();
  }

  /**
   * Redis was in doubt for a moment, and is used again. It reports no change of a key that it does not have, so values
   * that only this process has are dropped.
   */
  onDoubtEnded(): void {
    // remedy: doubt-drops-unsent
    this.local.dropUnsent();
    this.flights.taintUnleased();
  }

  /** Redis can be used for the first time: values that this process loaded without it may be outdated already. */
  onFirstTracking(): void {
    this.local.startEpoch();
    this.flights.taintUnleased();
  }

  /**
   * Deletes keys in Redis, and drops what was read from it meanwhile: a read or a load that began beside the deletion
   * may have found the value that was to be deleted. What a later change of this process has stored stays.
   * @returns those of the keys that existed, as far as Redis could be asked; `undefined` when no Redis is configured
   */
  private async deleteRemotely(
    encodedKeys: readonly string[],
    holdOffMs?: number,
  ): Promise<ReadonlySet<string> | undefined> {
    const { remote, flights, local } = this;
    if (remote === undefined) {
      return undefined;
    }
    return flights.watch(encodedKeys, async (watched) => {
      const existed = await remote.delete(encodedKeys, holdOffMs);
      for (const [index, encodedKey] of encodedKeys.entries()) {
        // remedy: deletion-drops-overlapping-read
        if (watched[index]?.isSuperseded !== true) {
          flights.taintReads(encodedKey);
          local.delete(encodedKey);
        }
      }
      return existed;
    });
  }

  /** Drops a fresh copy that was read after the key was expired in this process; a stale copy stays. */
  private dropFresh(encodedKey: string): void {
    const { local, flights } = this;
    flights.taintReads(encodedKey);
    const copy = local.peek(encodedKey);
    if (copy !== undefined && local.remainingMs(encodedKey, copy) > 0) {
      local.delete(encodedKey);
    }
  }

  /** Supersedes the work under way for a key and removes its copy. @returns whether L1 had it */
  private drop(encodedKey: string): boolean {
    const { flights, local } = this;
    // remedy: deletion-supersedes-load
    flights.supersede(encodedKey);
    return local.delete(encodedKey);
  }
}
