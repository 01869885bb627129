import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { EntryKeys } from '../keys/index.js';
import { REAL_TIME, type RedisConnection, type RedisTier } from '../redis/index.js';

/** The distance of loads at a rate of one a second, in milliseconds: a loader begins somewhat after its call. */
const DISTANCE = 1050;
/** How long the lease of the leader lasts unless it is renewed, in milliseconds. */
const LEADER_LEASE_MS = 1200;
/** Mean time between two attempts of another process to become the leader, in milliseconds. */
const CANDIDATE_EVERY_MS = 250;
/** A start within this time after a pass of the whole cluster makes no other one, in milliseconds. */
export const PASS_COUNTS_MS = 60_000;

/** A hot key, in the form that the tiers use. */
export interface HotKeyOf {
  readonly namespace: string;
  readonly key: string;
}

/** Makes the call whose result has this key; `undefined` if it can't be known from the key. */
export type CallOf = (namespace: string, key: string) => (() => Promise<unknown>) | undefined;

/** The limits of the loads. */
export interface LoadLimits {
  readonly rate: number;
  readonly concurrency: number;
  /** How long a loader that hangs is waited for, in milliseconds. */
  readonly deadlineMs: number;
}

/** What a pass works with. */
export interface PassWork {
  /** The keys to load, the hottest first; asked anew by each leader, so that no key is loaded that is there already. */
  readonly findMissing: () => Promise<readonly HotKeyOf[]>;
  readonly callOf: CallOf;
  readonly onLoaded: () => void;
  readonly signal: AbortSignal;
}

/**
 * Loads the hot keys that Redis does not have, in one process of the cluster at a time: the leader, by a lease that it
 * renews. When the leader dies, another process becomes the leader within {@link LEADER_LEASE_MS} and
 * {@link CANDIDATE_EVERY_MS}, and goes on with the keys that are still missing. Each load is an ordinary call of its
 * method, under the lease of its key: a key that another process loads, or has loaded, is not loaded again.
 *
 * Loads begin at equal distances (a token bucket that holds one token), so no second has more than `rate` of them. A
 * leader begins a load only while it knows that it holds the lease: of a process that was stopped and goes on, another
 * may have taken the place.
 */
export class WarmLoads {
  private readonly keys: EntryKeys;

  /** @param prefix the prefix of all keys, colon included */
  constructor(
    prefix: string,
    private readonly connection: RedisConnection,
    private readonly tier: RedisTier,
    private readonly limits: LoadLimits,
  ) {
    // The braces make them auxiliary keys. What is in place of a value is the time of the last pass.
    const passKey = `${prefix}{#hot}`;
    this.keys = { valueKey: passKey, leaseKey: `${passKey}:leader`, fillKey: `${passKey}:fill` };
  }

  /**
   * Takes part in a pass: leads it, or waits for the leader, whose place it takes when it dies. Resolves when a pass has
   * ended, when Redis can't be used, and when `signal` is aborted. Never rejects.
   * @param mostAgeMs a pass that has ended so long ago at most counts as this one, in milliseconds
   */
  async takePart(work: PassWork, mostAgeMs: number): Promise<void> {
    const token = randomUUID();
    const sinceMs = this.serverNowMs() - mostAgeMs;
    try {
      while (!work.signal.aborted) {
        const askedAtMs = REAL_TIME.nowMs();
        const { owner, bytes } = await this.tier.take(this.keys, token, LEADER_LEASE_MS);
        const isPassed = Number(bytes?.toString() ?? Number.NaN) >= sinceMs;
        if (owner === token) {
          const leader = new Leader(this.tier, this.keys, token, askedAtMs);
          const isEnded = isPassed || (await this.lead(leader, work));
          await leader.resign();
          if (isEnded) {
            return;
          }
        } else if (isPassed || owner === undefined) {
          return;
        }
        await delay(CANDIDATE_EVERY_MS * (0.75 + Math.random() / 2), undefined, { ref: false });
      }
    } catch {
      // Redis can't be used: there are no further loads. Nothing waits for this work, so nothing could handle its error.
    }
  }

  /** Loads what is missing. @returns whether the pass has ended; false: this process is no longer the leader */
  private async lead(leader: Leader, work: PassWork): Promise<boolean> {
    const { rate, concurrency, deadlineMs } = this.limits;
    const running = new Set<Promise<void>>();
    let nextAtMs = 0;
    for (const { namespace, key } of await work.findMissing()) {
      const call = work.callOf(namespace, key);
      if (call === undefined) {
        continue;
      }
      if (running.size >= concurrency && !(await within(Promise.race(running), deadlineMs))) {
        return this.endPass(); // every loader hangs
      }
      await until(nextAtMs);
      if (work.signal.aborted || !leader.isLeader || !this.connection.isLive) {
        return false;
      }
      nextAtMs = REAL_TIME.nowMs() + DISTANCE / rate;
      const loading: Promise<void> = begun(call)
        .then(work.onLoaded, () => {}) // the error has its event
        .finally(() => running.delete(loading));
      running.add(loading);
    }
    await within(Promise.all(running), deadlineMs);
    return this.endPass();
  }

  private async endPass(): Promise<boolean> {
    const { valueKey } = this.keys;
    const text = String(this.serverNowMs());
    await this.connection.run('CHECK SET', (client) => client.set(valueKey, text, 'PX', PASS_COUNTS_MS), valueKey);
    return true;
  }

  private serverNowMs(): number {
    return this.connection.serverNowMs(this.keys.valueKey);
  }
}

/** The lease of the process that loads. */
class Leader {
  private heldUntilMs: number;
  private readonly timer: NodeJS.Timeout;

  /** @param takenAtMs when the lease was asked for: it lasts at least from then on */
  constructor(
    private readonly tier: RedisTier,
    private readonly keys: EntryKeys,
    private readonly token: string,
    takenAtMs: number,
  ) {
    this.heldUntilMs = takenAtMs + LEADER_LEASE_MS;
    this.timer = setInterval(() => void this.renew(), LEADER_LEASE_MS / 4);
    this.timer.unref();
  }

  get isLeader(): boolean {
    return REAL_TIME.nowMs() < this.heldUntilMs;
  }

  async resign(): Promise<void> {
    clearInterval(this.timer);
    await this.tier.release(this.keys, this.token);
  }

  private async renew(): Promise<void> {
    const askedAtMs = REAL_TIME.nowMs();
    try {
      const isOurs = await this.tier.renew(this.keys, this.token, LEADER_LEASE_MS);
      this.heldUntilMs = isOurs ? askedAtMs + LEADER_LEASE_MS : 0;
    } catch {
      // The lease ends unless the next renewal is answered.
    }
  }
}

/** Begins a call. @returns its promise, also if it throws */
async function begun(call: () => Promise<unknown>): Promise<unknown> {
  return call();
}

/** Waits for a moment of {@link REAL_TIME}. A timer may fire a little early. */
async function until(atMs: number): Promise<void> {
  for (let restMs = atMs - REAL_TIME.nowMs(); restMs > 0; restMs = atMs - REAL_TIME.nowMs()) {
    await delay(Math.ceil(restMs), undefined, { ref: false });
  }
}

/** Waits for work, at most so long. @returns whether it has ended */
async function within(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const timeout = new AbortController();
  const isOver = delay(limitMs, false, { ref: false, signal: timeout.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), isOver]);
  } finally {
    timeout.abort();
  }
}
