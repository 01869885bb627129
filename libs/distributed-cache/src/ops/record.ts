import { type CacheCounts, COUNTERS } from '../events/index.js';
import { CLEAR, TAG_STAMP } from '../keys/index.js';
import { type CounterSteps, MOST_STEPS, type RecentChange } from './questions.js';

/*
 * What a process remembers of its last hour: its counters in steps, and the last changes of which it has learned.
 */

/** The length of a step of the history, in milliseconds. */
export const STEP_MS = 10_000;
/** The namespaces that are recorded one by one; all others count only in the sum. About 40 KB each. */
const MOST_NAMESPACES = 100;
/** The counters that are recorded. */
const RECORDED = [
  'localHits',
  'redisHits',
  'misses',
  'staleServed',
  'loads',
  'loadErrors',
  'waits',
  'sets',
  'deletes',
  'errors',
  'overloads',
] as const satisfies readonly (keyof typeof COUNTERS)[];
const WIDTH = RECORDED.length;
const NEVER = -1;

interface Counted {
  readonly namespace: string;
  readonly counts: CacheCounts;
}

/**
 * The counters of the last hour, in steps of ten seconds that begin at the same moment in all processes, as far as their
 * clocks agree.
 */
export class CounterHistory {
  private readonly total = new Ring();
  private readonly byNamespace = new Map<string, Ring>();

  /** Records the counters as they are now. */
  record(counted: readonly Counted[], nowMs = Date.now()): void {
    const step = Math.floor(nowMs / STEP_MS);
    const sums = new Float64Array(WIDTH);
    for (const { namespace, counts } of counted) {
      const values = RECORDED.map((name) => counts[name]);
      values.forEach((value, index) => (sums[index] = (sums[index] ?? 0) + value));
      this.ringOf(namespace)?.write(step, values);
    }
    this.total.write(step, sums);
  }

  /** The last steps of one namespace, or of all together. */
  steps(namespace: string | undefined, count: number, nowMs = Date.now()): CounterSteps {
    const ring = namespace === undefined ? this.total : this.byNamespace.get(namespace);
    const last = Math.floor(nowMs / STEP_MS);
    const steps = Array.from({ length: count }, (_, index) => ring?.rise(last - count + 1 + index) ?? null);
    return {
      stepSeconds: STEP_MS / 1000,
      endedAtMs: last * STEP_MS,
      counters: RECORDED.map((name) => COUNTERS[name].wire),
      steps,
    };
  }

  private ringOf(namespace: string): Ring | undefined {
    let ring = this.byNamespace.get(namespace);
    if (ring === undefined && this.byNamespace.size < MOST_NAMESPACES) {
      ring = new Ring();
      this.byNamespace.set(namespace, ring);
    }
    return ring;
  }
}

/** The values of the counters at the beginning of each step of the last hour. One more is kept, to tell the rise of the oldest. */
class Ring {
  private readonly values = new Float64Array((MOST_STEPS + 1) * WIDTH);
  private readonly stepsOf = new Float64Array(MOST_STEPS + 1).fill(NEVER);

  write(step: number, values: ArrayLike<number>): void {
    const row = step % (MOST_STEPS + 1);
    this.stepsOf[row] = step;
    this.values.set(values, row * WIDTH);
  }

  /** By how much each counter has risen in the step that ended at the beginning of this one. */
  rise(step: number): number[] | undefined {
    const [after, before] = [this.read(step), this.read(step - 1)];
    return after && before && Array.from(after, (value, index) => value - (before[index] ?? 0));
  }

  private read(step: number): Float64Array | undefined {
    const row = step % (MOST_STEPS + 1);
    return this.stepsOf[row] === step ? this.values.subarray(row * WIDTH, (row + 1) * WIDTH) : undefined;
  }
}

const MOST_CHANGES = 100;

/** The last changes by others of which the invalidation channel has told this process. */
export class RecentChanges {
  private readonly ring: (RecentChange | undefined)[] = Array.from({ length: MOST_CHANGES }, () => undefined);
  private next = 0;
  /** Called with each change. */
  onChange: ((change: RecentChange) => void) | undefined;

  /**
   * Records a change.
   * @param name the rest of the key in Redis after `prefix:namespace:`: the key, or the name of a stamp
   * @param atMs the present: a message may be about many keys, and the clock is most of what a record costs
   */
  onKey(namespace: string, name: string, atMs: number): void {
    if (namespace.startsWith('#')) {
      return; // the proof of an invalidation channel
    }
    if (name.startsWith(TAG_STAMP)) {
      this.add('tag', namespace, name.slice(TAG_STAMP.length), atMs);
    } else if (name === CLEAR) {
      this.add('namespace', namespace, '', atMs);
    } else {
      this.add('key', namespace, name, atMs);
    }
  }

  /** Any entry may have changed. */
  onAll(): void {
    this.add('all', '', '');
  }

  /** The last changes, the newest first. */
  last(count: number): RecentChange[] {
    const { ring, next } = this;
    const newest = Array.from(
      { length: MOST_CHANGES },
      (_, back) => ring[(next - 1 - back + 2 * MOST_CHANGES) % MOST_CHANGES],
    );
    return newest.filter((change) => change !== undefined).slice(0, count);
  }

  private add(kind: RecentChange['kind'], namespace: string, name: string, atMs = Date.now()): void {
    const change = { atMs, kind, namespace, name };
    this.ring[this.next] = change;
    this.onChange?.(change);
    this.next = (this.next + 1) % MOST_CHANGES;
  }
}
