import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type CacheHealth,
  type CacheMetricsWire,
  type CounterSteps,
  type DistributedCache,
  type Gathered,
  type ProcessFacts,
  type RecentChange,
  type RunningLoad,
  type TopKey,
  type TopOrder,
} from '../core/index.js';

/** How long a page waits for each of its parts, in milliseconds. Each part has a shorter deadline of its own. */
const LONGEST_WAIT_MS = 2000;
/** How long an answer is shared, in milliseconds: many viewers cause no more questions than one. */
const SHARED_MS = 400;
/** The same for the last hour, in milliseconds. It is the largest answer, and changes every ten seconds. */
const HOUR_SHARED_MS = 5000;

const HOUR = 'hour';

export type AllFacts = Gathered<ProcessFacts>;
export type AllMetrics = Gathered<readonly CacheMetricsWire[]>;

/** Asks all processes for what the pages show. Requests for the same part within a short time share one answer. */
export class Gatherer {
  private readonly shared = new Map<string, { readonly atMs: number; readonly answer: Promise<unknown> }>();

  constructor(private readonly cache: DistributedCache) {}

  health(): Promise<CacheHealth | undefined> {
    return this.share('health', () => within(this.cache.healthCheck(), undefined));
  }

  processes(): Promise<AllFacts> {
    return this.ask('processes', () => this.cache.operations.processes());
  }

  metrics(): Promise<AllMetrics> {
    return this.ask('metrics', () => this.cache.operations.metrics());
  }

  lastHour(namespace?: string): Promise<Gathered<CounterSteps>> {
    const only = namespace === undefined ? {} : { namespace };
    return this.ask(`${HOUR} ${namespace ?? ''}`, () => this.cache.operations.lastHour(only));
  }

  top(namespace: string, by: TopOrder, count: number): Promise<Gathered<readonly TopKey[]>> {
    return this.ask(`top ${namespace} ${by} ${count}`, () => this.cache.operations.top({ namespace, by, count }));
  }

  loads(): Promise<Gathered<readonly RunningLoad[]>> {
    return this.ask('loads', () => this.cache.operations.loads({ count: 100 }));
  }

  changes(): Promise<Gathered<readonly RecentChange[]>> {
    return this.ask('changes', () => this.cache.operations.changes({ count: 100 }));
  }

  /** After a change: the next page shows what is true now. */
  forget(): void {
    this.shared.clear();
  }

  private ask<Body>(name: string, ask: () => Promise<Gathered<Body>>): Promise<Gathered<Body>> {
    const late = { answers: [], silent: [], unanswered: 0, aloneBecause: 'redis-unavailable' };
    return this.share(name, () => within(ask(), late));
  }

  private share<Answer>(name: string, ask: () => Promise<Answer>): Promise<Answer> {
    const nowMs = performance.now();
    for (const [key, { atMs }] of this.shared) {
      if (nowMs - atMs > (key.startsWith(HOUR) ? HOUR_SHARED_MS : SHARED_MS)) {
        this.shared.delete(key);
      }
    }
    const known = this.shared.get(name);
    const answer = (known?.answer as Promise<Answer> | undefined) ?? ask();
    if (known === undefined) {
      this.shared.set(name, { atMs: nowMs, answer });
    }
    return answer;
  }
}

/** Waits for an answer for `limitMs` milliseconds. @param late the result after that */
export async function within<Answer, Late>(
  answer: Promise<Answer>,
  late: Late,
  limitMs = LONGEST_WAIT_MS,
): Promise<Answer | Late> {
  const waiting = new AbortController();
  try {
    return await Promise.race([answer, delay(limitMs, late, { signal: waiting.signal, ref: false })]);
  } finally {
    waiting.abort();
  }
}

/** A name of a key that does not tell the key, for addresses: they are logged, and kept by browsers. */
export function referenceOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22);
}

/** What all processes have counted in one minute, as numbers per second; `undefined` without a record. */
export interface Minute {
  readonly atMs: number;
  readonly rates: Readonly<Record<string, number>> | undefined;
}

const MINUTE_MS = 60_000;
const MINUTES = 60;

/** The last hour of all processes together, minute by minute, the oldest first. */
export function minutesOf({ answers }: Gathered<CounterSteps>, nowMs = Date.now()): Minute[] {
  const last = Math.floor(nowMs / MINUTE_MS);
  const minutes = Array.from({ length: MINUTES }, (_, index) => (last - MINUTES + 1 + index) * MINUTE_MS);
  const byProcess = answers.map(({ answer }) => ratesByMinute(answer));
  return minutes.map((atMs) => {
    const known = byProcess.map((rates) => rates.get(atMs)).filter((rates) => rates !== undefined);
    return { atMs, rates: known.length === 0 ? undefined : added(known) };
  });
}

function ratesByMinute({ steps, stepSeconds, endedAtMs, counters }: CounterSteps): Map<number, Map<string, number>> {
  const sums = new Map<number, { seconds: number; readonly counts: Map<string, number> }>();
  const stepMs = Math.max(1000, stepSeconds * 1000);
  for (const [index, step] of steps.entries()) {
    const beganAtMs = endedAtMs - (steps.length - index) * stepMs;
    const minute = Math.floor(beganAtMs / MINUTE_MS) * MINUTE_MS;
    const sum = sums.get(minute) ?? { seconds: 0, counts: new Map<string, number>() };
    if (step !== null) {
      sum.seconds += stepMs / 1000;
      counters.forEach((name, at) => sum.counts.set(name, (sum.counts.get(name) ?? 0) + (step[at] ?? 0)));
      sums.set(minute, sum);
    }
  }
  return new Map(
    Array.from(sums, ([minute, { seconds, counts }]) => [
      minute,
      new Map(Array.from(counts, ([name, count]) => [name, count / seconds])),
    ]),
  );
}

function added(rates: readonly ReadonlyMap<string, number>[]): Record<string, number> {
  const sum = new Map<string, number>();
  for (const [name, rate] of rates.flatMap((each) => [...each])) {
    sum.set(name, (sum.get(name) ?? 0) + rate);
  }
  return Object.fromEntries(sum);
}
