import { toMs, type Duration } from '../config/index.js';
import { type CacheKey, encodeKey } from '../keys/index.js';
import { entryLife, type EntryLife } from './entry-life.js';
import { type EntryOptions, tagNames } from './entry-options.js';
import type { WrittenEntry } from './write.js';
import type { NamespaceRooms } from './namespace.js';
import { TAG_STAMP } from './tags.js';

/**
 * Carries out the changes that callers make in one namespace. Each change first supersedes the work under way for
 * its keys in this process (reads and loads are answered and not kept). Then it is sent to Redis, which ends loads
 * elsewhere and notifies the other processes.
 */
export class EntryChanges {
  constructor(private readonly rooms: NamespaceRooms) {}

  /** Stores one value. @returns true once Redis has it (or no Redis is configured) */
  async setOne<T>(key: CacheKey, value: T, options: EntryOptions<T>): Promise<boolean> {
    const { runtime, policy, reader, writer, flights, tags } = this.rooms;
    const encodedKey = encodeKey(key);
    const life = entryLife(value, policy, options);
    const names = tagNames(options.tags);
    if (!runtime.config.enabled) {
      return false;
    }
    const marks = tags.marks(names);
    const check = reader.checks.of(options);
    const flight = flights.beginWrite(encodedKey);
    let written: WrittenEntry;
    try {
      written = await writer.write({ key: encodedKey, value, life, flight, loadMs: 0, tags: names, marks, check });
    } finally {
      flights.end(encodedKey, flight);
    }
    const settling = this.settle(key, encodedKey, life, written);
    if (settling !== undefined) {
      await settling;
    }
    return written.complete;
  }

  /**
   * Stores several values, in one round trip; otherwise like {@link setOne}.
   * @returns true once Redis has all of them (or no Redis is configured)
   */
  async set<T>(entries: ReadonlyMap<CacheKey, T>, options: EntryOptions<T>): Promise<boolean> {
    const { runtime, policy, reader, writer, flights, tags } = this.rooms;
    const names = tagNames(options.tags);
    const values = [...entries].map(([key, value]) => ({
      key,
      encodedKey: encodeKey(key),
      value,
      life: entryLife(value, policy, options),
    }));
    if (!runtime.config.enabled) {
      return false;
    }
    const encodedKeys = values.map(({ encodedKey }) => encodedKey);
    const marks = tags.marks(names);
    const check = reader.checks.of(options);
    const written = await flights.write(encodedKeys, (writes) =>
      writer.writeMany(
        values.flatMap(({ encodedKey, value, life }, index) => {
          const flight = writes[index];
          return flight === undefined
            ? []
            : [{ key: encodedKey, value, life, flight, loadMs: 0, tags: names, marks, check }];
        }),
      ),
    );
    for (const [index, { key, encodedKey, life }] of values.entries()) {
      const entry = written[index];
      if (entry !== undefined) {
        await this.settle(key, encodedKey, life, entry);
      }
    }
    return written.every(({ complete }) => complete);
  }

  /** Deletes keys from both tiers. @returns how many of the keys existed, as far as Redis could be asked */
  async delete(keys: readonly CacheKey[], holdOff?: Duration): Promise<number> {
    const { runtime, recorder, flights } = this.rooms;
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

  async expire(key: CacheKey): Promise<boolean> {
    const { runtime, policy, local, remote } = this.rooms;
    if (policy.graceMs === 0 || !runtime.config.enabled) {
      return (await this.delete([key])) > 0;
    }
    const encodedKey = encodeKey(key);
    this.rooms.flights.supersede(encodedKey);
    const locally = local.expire(encodedKey, policy.graceMs);
    const inRedis = await remote?.expire(encodedKey, policy.graceMs);
    if (remote?.validity.isJournalled(encodedKey) === true) {
      this.dropFresh(encodedKey);
    }
    return inRedis ?? locally;
  }

  async clear(): Promise<void> {
    const { runtime, local, remote, flights, recorder } = this.rooms;
    flights.supersedeAll();
    local.startEpoch();
    if (runtime.config.enabled) {
      await remote?.clear();
      local.startEpoch(); // also drops what was read under the old stamp meanwhile
    }
    recorder.clear();
  }

  async invalidateTags(tags: readonly string[]): Promise<void> {
    const { runtime, remote } = this.rooms;
    const names = tagNames(tags);
    if (runtime.config.enabled) {
      await (remote === undefined
        ? Promise.all(names.map((name) => this.rooms.tags.invalidate(name)))
        : remote.invalidateTags(names));
    }
  }

  /** Does what remains after a write, in particular when it was not complete. */
  private settle(
    key: CacheKey,
    encodedKey: string,
    life: EntryLife,
    written: WrittenEntry,
  ): Promise<unknown> | undefined {
    const { remote, recorder } = this.rooms;
    if (written.kept) {
      recorder.set(key, life.ttlMs, written.complete);
      if (!written.complete) {
        // Redis holds the previous value, and must delete it before the key is read again.
        remote?.journal(encodedKey);
      }
    } else if (!written.overtaken) {
      // The previous value is no longer the value of this key.
      this.drop(encodedKey);
      if (remote?.validity.isJournalled(encodedKey) === false) {
        return this.deleteRemotely([encodedKey]); // else the deletion is journalled, and this call has waited once already
      }
    }
    return undefined;
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
    const { remote, flights, local } = this.rooms;
    if (remote === undefined) {
      return undefined;
    }
    return flights.watch(encodedKeys, async (watched) => {
      const existed = await remote.delete(encodedKeys, holdOffMs);
      for (const [index, encodedKey] of encodedKeys.entries()) {
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
    const { local, flights } = this.rooms;
    flights.taintReads(encodedKey);
    const copy = local.peek(encodedKey);
    if (copy !== undefined && local.remainingMs(encodedKey, copy) > 0) {
      local.delete(encodedKey);
    }
  }

  /** Supersedes the work under way for a key and removes its copy. @returns whether L1 had it */
  private drop(encodedKey: string): boolean {
    const { flights, local } = this.rooms;
    flights.supersede(encodedKey);
    return local.delete(encodedKey);
  }
}

/**
 * Applies the changes of one namespace by other processes, as Redis reports them, and handles the times when messages
 * may have been missed.
 */
export class ForeignChanges {
  constructor(private readonly rooms: NamespaceRooms) {}

  /**
   * Applies the change of one key.
   * @param encodedKey the part of the Redis key after the namespace: the key of an entry, or of a stamp
   */
  onChanged(encodedKey: string): void {
    const { tags, flights, local } = this.rooms;
    if (encodedKey.startsWith(TAG_STAMP)) {
      const name = encodedKey.slice(TAG_STAMP.length);
      tags.onMessage(name);
      if (flights.onTag(name, false)) {
        void tags.confirm(name); // a new stamp ends these loads, a longer life of the same stamp does not
      }
    } else if (encodedKey.startsWith('#')) {
      this.startEpoch();
    } else {
      local.delete(encodedKey);
      flights.taint(encodedKey);
    }
  }

  /** Reads stamps again; called at each heartbeat while Redis can be used. Never rejects. */
  async onHeartbeat(): Promise<void> {
    await this.rooms.remote?.touchStamps((encodedKey) => this.onChanged(encodedKey));
  }

  /** Another process's load of this key has ended without a value to store: the calls that wait for it go on. */
  onLoadEnded(encodedKey: string): void {
    this.rooms.flights.wake(encodedKey);
  }

  /**
   * Starts a new epoch: this process may have missed changes, so nothing that it holds, or is about to keep, from
   * before is trusted.
   */
  startEpoch(): void {
    const { local, flights, remote } = this.rooms;
    local.startEpoch();
    flights.taintAll();
    remote?.forgetStamps();
  }

  /** Redis can be used for the first time: values that this process loaded without it may be outdated already. */
  onFirstTracking(): void {
    const { local, flights } = this.rooms;
    local.startEpoch();
    flights.taintUnleased();
  }
}
