import { setTimeout as sleep } from 'node:timers/promises';
import { TierReplyError } from '../errors/index.js';
import { CLEAR, type KeyLayout } from '../keys/index.js';
import type { UsedEntry } from '../local/index.js';
import { DispensableCommand, isForbidden } from '../redis/index.js';
import type { LocalTier } from './local-tier.js';
import type { Recorder } from './recorder.js';
import type { CacheRuntime, RedisRuntime } from './runtime.js';

/** The times of the checks, in milliseconds. */
export interface ConsistencyTiming {
  /** Mean time between two checks. */
  readonly everyMs: number;
  /** After this time an entry that differs is compared again: a message may be under way. */
  readonly behindMs: number;
  /** After this time an entry that still differs counts as diverged. */
  readonly divergedMs: number;
}

const TIMING: ConsistencyTiming = { everyMs: 1000, behindMs: 1000, divergedMs: 10_000 };

const GETRANGE = new DispensableCommand();

/** The parts of a namespace that a check uses. */
export interface CheckedNamespace {
  readonly local: LocalTier;
  readonly layout: KeyLayout;
  readonly recorder: Recorder;
}

/**
 * Compares what L1 answers with what Redis has, by samples: about once a second, the entry that L1 has returned last. So
 * an entry is chosen as often as it is hit, and the hit path does nothing for it. Redis is asked for the head of the
 * entry and for its stamps, never for its value, and no call waits for that. An entry that differs is compared again, as
 * a message about it may be under way; one that still differs after ten seconds has diverged: a message was lost. It is
 * dropped and reported.
 *
 * A check that can't be completed counts for nothing: L1 is not trusted, Redis can't be asked, or refuses
 * the command: then there are no checks for a minute.
 */
export class ConsistencyChecks {
  private readonly namespaces = new Map<number, CheckedNamespace>();
  private readonly timing: ConsistencyTiming;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly runtime: () => CacheRuntime,
    timing: Partial<ConsistencyTiming> = {},
  ) {
    this.timing = { ...TIMING, ...timing };
  }

  /** Includes a namespace. */
  join(namespace: CheckedNamespace): void {
    const { partitionId } = namespace.local;
    if (partitionId !== undefined) {
      this.namespaces.set(partitionId, namespace);
    }
  }

  /** Starts to check, if there is something to compare. The pauses vary, so that no pattern of the load is missed. */
  start(): void {
    const { config, redis, local, random } = this.runtime();
    if (config.consistencyChecks && redis !== undefined && local !== undefined) {
      this.timer = setTimeout(
        () => {
          void this.check();
          this.start();
        },
        this.timing.everyMs * (0.5 + random()),
      );
      this.timer.unref();
    }
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  /** Compares one entry. Resolves when its result is counted; never rejects. */
  async check(): Promise<void> {
    const { local, redis, clock } = this.runtime();
    const mayAsk = redis?.connection.isLive === true && GETRANGE.maySend(redis.connection);
    const sample = mayAsk ? local?.sample(clock.nowMs()) : undefined;
    const namespace = sample && this.namespaces.get(sample.partitionId);
    if (redis === undefined || sample === undefined || namespace === undefined) {
      return;
    }
    try {
      const result = await this.resultOf(sample, namespace, redis);
      if (result === 'diverged') {
        namespace.local.delete(sample.key);
      }
      if (result !== undefined) {
        const ageMs = redis.connection.serverNowMs(namespace.layout.valueKey(sample.key)) - sample.createdAtMs;
        namespace.recorder.checked(sample.key, result, Math.max(0, ageMs));
      }
    } catch (error) {
      // Redis can't be asked, or the entry can't be compared.
      if (error instanceof TierReplyError && error.command === 'GETRANGE' && isForbidden(error)) {
        redis.connection.refusals.allow('GETRANGE'); // nothing depends on it
        GETRANGE.forbid(redis.connection);
      }
    }
  }

  /** @returns `undefined` when L1 is no longer trusted */
  private async resultOf(sample: UsedEntry, namespace: CheckedNamespace, redis: RedisRuntime) {
    const { behindMs, divergedMs } = this.timing;
    const waits = [
      [0, 'equal'],
      [behindMs, 'equal'],
      [divergedMs - behindMs, 'behind'],
    ] as const;
    for (const [waitMs, result] of waits) {
      if (waitMs > 0) {
        await sleep(waitMs, undefined, { ref: false });
      }
      const isSame = (await this.isCurrent(sample, namespace, redis)) || !this.holds(sample);
      if (!namespace.local.isFullyTracked() || this.runtime().closing.aborted) {
        return undefined;
      }
      if (isSame) {
        return result;
      }
    }
    return 'diverged' as const;
  }

  /** Whether L1 still returns the entry. */
  private holds(sample: UsedEntry): boolean {
    const { local, clock } = this.runtime();
    return local?.holds(sample, clock.nowMs()) === true;
  }

  /** Whether Redis has the same entry, and under stamps that are current. */
  private async isCurrent(
    { key, createdAtMs }: UsedEntry,
    { layout }: CheckedNamespace,
    { tier }: RedisRuntime,
  ): Promise<boolean> {
    const head = await tier.readHead(layout.valueKey(key));
    if (head?.createdAtMs !== createdAtMs) {
      return false;
    }
    const stamps = head.stamps.filter(([name]) => name === CLEAR || !name.startsWith('#'));
    const present = await Promise.all(
      stamps.map(([name]) => tier.readStamp(name === CLEAR ? layout.clearStampKey : layout.tagStampKey(name))),
    );
    return stamps.every(([, stamp], index) => present[index] === stamp);
  }
}
