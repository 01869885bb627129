import type { Scheduler } from 'fast-check';
import type { Position } from '../../libs/distributed-cache/src/redis/home/home-progress.js';
import type { DoubleEntry, RedisDouble, Tracker } from './redis-double.js';

const LAG_STEPS = 4;

/** One change of a key at the primary: what the key holds afterwards. */
export interface Change {
  readonly key: string;
  readonly entry: DoubleEntry | undefined;
  readonly text: string | undefined;
}

/**
 * A replica: it applies the changes of the primary in their order, each at a time that the scheduler chooses, and then
 * tells every tracking client, also the one that has made the change. Its link may be cut: then it applies nothing more,
 * and does not notice.
 */
export class ReplicaDouble {
  private readonly values = new Map<string, DoubleEntry>();
  private readonly strings = new Map<string, string>();
  private readonly log: Change[] = [];
  private readonly trackers = new Map<object, Tracker>();
  private applied = 0;
  private isDeaf = false;
  /** Whether it is gone: its clients have lost their connections. */
  isDead = false;

  constructor(
    private readonly primary: RedisDouble,
    private readonly scheduler: Scheduler,
  ) {
    primary.replicas.push(this);
  }

  /** The number of changes that it has not applied yet; each will be one message. */
  get pending(): number {
    return this.log.length;
  }

  get position(): Position {
    return { history: 'one', offset: this.applied };
  }

  receive(change: Change): void {
    this.log.push(change);
    void this.replicate();
  }

  deafen(): void {
    this.isDeaf = true;
  }

  track(owner: object, tracker: Tracker | undefined): void {
    this.trackers.delete(owner);
    if (tracker !== undefined) {
      this.trackers.set(owner, tracker);
    }
  }

  get(valueKey: string): DoubleEntry | undefined {
    return this.primary.isExpired(valueKey) ? undefined : this.values.get(valueKey);
  }

  readString(key: string): string | undefined {
    return this.strings.get(key);
  }

  /** Takes some steps, so that other events come in between: a replica lags. */
  private async replicate(): Promise<void> {
    for (let step = 0; step < LAG_STEPS; step++) {
      await this.scheduler.schedule(Promise.resolve(), 'replicate');
    }
    if (!this.isDeaf) {
      this.applyNext();
    }
  }

  private applyNext(): void {
    const change = this.log.shift();
    if (change === undefined) {
      return;
    }
    this.applied++;
    setOrDelete(this.values, change.key, change.entry);
    setOrDelete(this.strings, change.key, change.text);
    this.trackers.forEach((tracker) => tracker(change.key));
  }
}

function setOrDelete<Value>(map: Map<string, Value>, key: string, value: Value | undefined): void {
  if (value === undefined) {
    map.delete(key);
  } else {
    map.set(key, value);
  }
}
