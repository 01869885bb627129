import { randomInt } from 'node:crypto';
import type { Position } from '../../libs/distributed-cache/src/redis/home/home-progress.js';
import type { ReplicaDouble } from './replica-double.js';

/** A value in the model: a version of the source, and the other contents of an envelope. */
export interface DoubleEntry {
  readonly value: unknown;
  readonly stamps: readonly (readonly [name: string, stamp: string])[];
}

export interface DoubleKeys {
  readonly valueKey: string;
  readonly leaseKey: string;
  readonly fillKey: string;
}

/** The receiver of messages: the tracking of one process on one node. */
export type Tracker = (key: string) => void;

/**
 * Redis as far as the core can tell: one map, commands that run one at a time, and a message for every change of a key
 * under the prefix to every tracking client except the one that made it (NOLOOP). A key expires only through `expire`,
 * and, as in Redis, at the next command that reads it; then every tracking client receives the message.
 */
export class RedisDouble {
  private readonly values = new Map<string, DoubleEntry>();
  private readonly strings = new Map<string, string>();
  /** Leases that were requested since the leases last ended. */
  private readonly leaseKeys = new Set<string>();
  private readonly staged = new Map<string, DoubleEntry>();
  private readonly expired = new Set<string>();
  private readonly trackers = new Map<object, Tracker>();
  readonly replicas: ReplicaDouble[] = [];
  private changes = 0;

  get position(): Position {
    return { history: 'one', offset: this.changes };
  }

  isExpired(valueKey: string): boolean {
    return this.expired.has(valueKey);
  }

  track(owner: object, tracker: Tracker | undefined): void {
    this.trackers.delete(owner);
    if (tracker !== undefined) {
      this.trackers.set(owner, tracker);
    }
  }

  /** The stored entry, for the oracle alone. */
  peek(valueKey: string): DoubleEntry | undefined {
    return this.expired.has(valueKey) ? undefined : this.values.get(valueKey);
  }

  expire(valueKey: string): void {
    if (this.values.has(valueKey)) {
      this.expired.add(valueKey);
    }
  }

  get(valueKey: string): DoubleEntry | undefined {
    if (this.expired.delete(valueKey) && this.values.delete(valueKey)) {
      this.tell(valueKey, undefined);
    }
    return this.values.get(valueKey);
  }

  /** The two commands of a `set` run one after the other, this one first, and others may run between them. */
  endLoad({ leaseKey, fillKey }: DoubleKeys): void {
    this.strings.delete(leaseKey);
    this.staged.delete(fillKey);
  }

  put(by: object, { valueKey }: DoubleKeys, entry: DoubleEntry): void {
    this.move(by, valueKey, entry);
  }

  drop(by: object, { valueKey, leaseKey, fillKey }: DoubleKeys): boolean {
    this.strings.delete(leaseKey);
    this.staged.delete(fillKey);
    const existed = this.get(valueKey) !== undefined;
    if (existed) {
      this.values.delete(valueKey);
      this.tell(valueKey, by);
    }
    return existed;
  }

  /** The two commands of a fill run one after the other, and others may run between them. */
  stage({ leaseKey, fillKey }: DoubleKeys, token: string, entry: DoubleEntry): boolean {
    if (this.strings.get(leaseKey) !== token) {
      this.staged.delete(fillKey);
      return false;
    }
    this.staged.set(fillKey, entry);
    this.strings.delete(leaseKey);
    return true;
  }

  rename(by: object, { valueKey, fillKey }: DoubleKeys): boolean {
    const entry = this.staged.get(fillKey);
    if (entry === undefined) {
      return false;
    }
    this.staged.delete(fillKey);
    this.move(by, valueKey, entry);
    return true;
  }

  take(
    { valueKey, leaseKey }: DoubleKeys,
    token: string,
  ): { isTaken: boolean; owner: string; entry: DoubleEntry | undefined } {
    this.leaseKeys.add(leaseKey);
    const owner = this.addString(leaseKey, token);
    return { isTaken: owner === token, owner, entry: this.get(valueKey) };
  }

  /** The mark stays until the leases end: longer than in Redis, which only lets more loads run without a lease. */
  markEnded({ leaseKey }: DoubleKeys): void {
    this.strings.set(`${leaseKey}:ended`, '1');
  }

  release({ leaseKey }: DoubleKeys, token: string): void {
    if (this.strings.get(leaseKey) === token) {
      this.strings.delete(leaseKey);
    }
  }

  /** A process has died or can't renew: its leases expire. */
  endLeases(): void {
    for (const leaseKey of this.leaseKeys) {
      this.strings.delete(leaseKey);
      this.strings.delete(`${leaseKey}:ended`);
    }
    this.leaseKeys.clear();
  }

  readString(key: string): string | undefined {
    return this.strings.get(key);
  }

  createString(by: object, key: string, text: string): boolean {
    if (this.strings.has(key)) {
      return false;
    }
    this.putString(by, key, text);
    return true;
  }

  putString(by: object, key: string, text: string): void {
    this.strings.set(key, text);
    this.tell(key, by);
  }

  private addString(key: string, text: string): string {
    const there = this.strings.get(key);
    if (there === undefined) {
      this.strings.set(key, text);
    }
    return there ?? text;
  }

  private move(by: object, valueKey: string, entry: DoubleEntry): void {
    this.expired.delete(valueKey);
    this.values.set(valueKey, entry);
    this.tell(valueKey, by);
  }

  private tell(key: string, by: object | undefined): void {
    this.changes++;
    this.replicas.forEach((replica) =>
      replica.receive({ key, entry: this.values.get(key), text: this.strings.get(key) }),
    );
    for (const [owner, tracker] of this.trackers) {
      if (owner !== by) {
        tracker(key);
      }
    }
  }
}

/** Printed with every run, so that a failure can be repeated. */
export function chosenSeed(): number {
  const given = process.env['MODEL_SEED'];
  return given === undefined ? randomInt(2 ** 31) : Number(given);
}
