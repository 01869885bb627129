import { setTimeout as delay } from 'node:timers/promises';
import type { CacheEvents, WarmUpHealth } from '../events/index.js';
import type { KeyUses } from '../local/index.js';
import { REAL_TIME, type RedisConnection, type RedisTier } from '../redis/index.js';
import { type HotKey, HotKeys } from './hot-keys.js';
import { type CallOf, type LoadLimits, type HotKeyOf, PASS_COUNTS_MS, WarmLoads } from './warm-loads.js';

/** The keys of a namespace that each process records at a time. */
const MOST_RECORDED = 1000;
/** Mean time between two records of a process, in milliseconds. */
const RECORD_EVERY_MS = 60_000;
/** The number of keys that are read together. */
const KEYS_PER_READ = 100;
/** The part of L1 that a warm-up fills at most: the rest is for what the requests of this process want. */
const PART_OF_LOCAL = 0.5;
/** After a flush, processes restore the lists of hot keys in this time, in milliseconds. */
const RESTORED_AFTER_MS = 1000;
const TRUST_POLL_MS = 10;

/** What became of keys that were read into L1. */
export interface FilledKeys {
  readonly kept: number;
  /** The keys that Redis does not have. */
  readonly missing: readonly string[];
  /** The keys for which Redis could not be asked. */
  readonly unreachable: number;
}

/** A namespace, as far as a warm-up needs it. */
export interface WarmedNamespace {
  /** Takes the uses since the last call, of the keys that were used most. */
  takeUses(limit: number): readonly KeyUses[];
  /** Reads entries from Redis into L1, as a lookup does. No loader runs. */
  fill(keys: readonly string[]): Promise<FilledKeys>;
}

/** The cache that is warmed. */
export interface WarmedCache {
  readonly keyPrefix: string;
  readonly events: CacheEvents;
  /** A namespace that is in use. */
  inUse(namespace: string): WarmedNamespace | undefined;
  /** A namespace, which is in use from now on. */
  use(namespace: string): WarmedNamespace;
  /** Whether L1 keeps what is read: this process receives changes by others. */
  keepsReads(): boolean;
  /** Whether so much of L1 is in use. */
  isFilled(part: number): boolean;
  /** Aborted when the cache closes. */
  readonly closing: AbortSignal;
}

/** The resolved options of a warm-up. */
interface WarmUpSettings {
  readonly namespaces: readonly string[];
  readonly maxKeys: number;
  readonly deadlineMs: number;
  readonly requireWarm: boolean;
  readonly load: false | Pick<LoadLimits, 'rate' | 'concurrency'>;
}

/** The parts of L2 that this needs. */
interface WarmLink {
  readonly connection: RedisConnection;
  readonly tier: RedisTier;
}

/** What a process tells about its warm-up. */
export interface WarmUpFacts extends WarmUpHealth {
  readonly namespaces: readonly string[];
  readonly kept: number;
  readonly missing: number;
  readonly loaded: number;
}

/**
 * The warm-up of one process. It records which keys of L1 are used, as long as the process runs, and after its start it
 * reads the hottest keys of all processes from Redis into L1. With `load` the processes together load those that Redis
 * does not have. Nothing waits for it: neither a start nor a call.
 *
 * Without Redis, L1 or the option `warmUp` there is nothing to do, and the process is warm.
 */
export class WarmUp {
  readonly counts = { kept: 0, missing: 0, loaded: 0 };
  /** How long the first warm-up took, in milliseconds; `undefined` before its end. */
  durationMs: number | undefined;
  /** Makes the calls of loads; the Nest module sets it when all providers are ready. */
  private callOf: CallOf | undefined;
  private readonly hot: HotKeys | undefined;
  private readonly loads: WarmLoads | undefined;
  private readonly lastUses = new Map<string, readonly KeyUses[]>();
  private running: Promise<void> | undefined;
  private startedAtMs: number | undefined;
  private recordTimer: NodeJS.Timeout | undefined;
  private deadlineTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: false | WarmUpSettings,
    private readonly cache: WarmedCache,
    link: WarmLink | undefined,
    mostHotKeys: number,
  ) {
    if (link !== undefined) {
      const prefix = `${cache.keyPrefix}:`;
      this.hot = new HotKeys(prefix, link.connection, mostHotKeys, (command, reply) =>
        cache.events.emit('redisRefused', {
          command,
          reply,
          keyPattern: `${prefix}{#hot:*}`,
          effect: 'the hot keys of warmUp are not recorded, or not known',
        }),
      );
      if (settings !== false && settings.load !== false) {
        const limits = { ...settings.load, deadlineMs: settings.deadlineMs };
        this.loads = new WarmLoads(prefix, link.connection, link.tier, limits);
      }
    }
  }

  /** Whether the process counts as warm: the first warm-up has ended, its deadline is over, or there is none. */
  get isWarm(): boolean {
    return !this.isAsked || this.durationMs !== undefined;
  }

  /** Whether health is `down` until the process is warm. */
  get isRequired(): boolean {
    return this.settings !== false && this.settings.requireWarm;
  }

  /** What the process tells; `undefined` without a warm-up. */
  get facts(): WarmUpFacts | undefined {
    const { settings, hot, isWarm, counts } = this;
    return settings === false || hot === undefined
      ? undefined
      : { namespaces: settings.namespaces, isWarm, ...counts, refused: hot.refusal };
  }

  /** Whether there is something to do: the option is set, and there are both tiers. */
  private get isAsked(): boolean {
    return this.settings !== false && this.hot !== undefined;
  }

  /** The hot keys of a namespace that all processes have recorded, the hottest first. Never rejects. */
  async hottest(namespace: string, count: number): Promise<readonly HotKey[]> {
    let found: readonly HotKey[] = [];
    await attempt(async () => (found = (await this.hot?.hottest(namespace, count)) ?? []));
    return found;
  }

  /** Sets how a key becomes the call that loads it. From now on keys can be loaded. */
  loadBy(callOf: CallOf): void {
    this.callOf = callOf;
    if (this.loads !== undefined && this.startedAtMs !== undefined) {
      void this.runFirst(this.running);
    }
  }

  /** Begins the warm-up, and to record, once Redis can be used for the first time. */
  onLive(): void {
    if (this.isAsked && this.startedAtMs === undefined) {
      this.startedAtMs = REAL_TIME.nowMs();
      this.scheduleRecord();
      this.deadlineTimer = setTimeout(() => this.end('deadline'), this.deadlineMs);
      this.deadlineTimer.unref();
      void this.runFirst();
    }
  }

  /** Redis can't be used: the process is as warm as it can be. */
  onDown(): void {
    this.end('redis-away');
  }

  /**
   * Warms up once more, unless a warm-up is under way. Resolves when it has ended; never rejects.
   * @param mostAgeMs see `WarmLoads.takePart`
   */
  again(mostAgeMs = 0): Promise<void> {
    this.running ??= this.run(mostAgeMs).finally(() => (this.running = undefined));
    return this.running;
  }

  /** All keys of Redis are gone, the lists of hot keys among them: restores what this process has added last. */
  async onFlushed(): Promise<void> {
    const { hot } = this;
    if (hot === undefined) {
      return;
    }
    await attempt(() => Promise.all(Array.from(this.lastUses, ([namespace, uses]) => hot.add(namespace, uses, true))));
    if (this.loads !== undefined) {
      await delay(RESTORED_AFTER_MS, undefined, { ref: false });
      await this.again();
    }
  }

  /**
   * Adds the uses since the last record to those of all processes; while Redis can't be used, they are left for later.
   * Never rejects.
   */
  async record(): Promise<void> {
    const { settings, hot } = this;
    if (!this.cache.keepsReads()) {
      return;
    }
    for (const namespace of settings === false || hot === undefined ? [] : settings.namespaces) {
      const uses = this.cache.inUse(namespace)?.takeUses(MOST_RECORDED) ?? [];
      if (uses.length > 0) {
        this.lastUses.set(namespace, uses);
        await attempt(() => hot?.add(namespace, uses));
      }
    }
  }

  stop(): void {
    clearTimeout(this.recordTimer);
    clearTimeout(this.deadlineTimer);
  }

  private get deadlineMs(): number {
    return this.settings === false ? 0 : this.settings.deadlineMs;
  }

  /** The pauses vary, so that the processes do not record at the same time. */
  private scheduleRecord(): void {
    this.recordTimer = setTimeout(
      () => {
        void this.record();
        this.scheduleRecord();
      },
      RECORD_EVERY_MS * (0.5 + Math.random()),
    );
    this.recordTimer.unref();
  }

  private end(outcome: 'done' | 'deadline' | 'redis-away'): void {
    if (this.isAsked && this.durationMs === undefined) {
      clearTimeout(this.deadlineTimer);
      this.durationMs = this.startedAtMs === undefined ? 0 : REAL_TIME.nowMs() - this.startedAtMs;
      this.cache.events.emit('warmedUp', { outcome, durationMs: this.durationMs, ...this.counts });
    }
  }

  /** The warm-up after the start. With loads it ends only when they can be made: see {@link loadBy}. */
  private async runFirst(after?: Promise<void>): Promise<void> {
    await after;
    await this.again(PASS_COUNTS_MS);
    if (this.loads === undefined || this.callOf !== undefined) {
      this.end('done');
    }
  }

  private async run(mostAgeMs: number): Promise<void> {
    const { cache, loads } = this;
    const endsAtMs = REAL_TIME.nowMs() + this.deadlineMs;
    const isOver = (): boolean => cache.closing.aborted || REAL_TIME.nowMs() >= endsAtMs;
    await attempt(async () => {
      while (!cache.keepsReads() && !isOver()) {
        await delay(TRUST_POLL_MS, undefined, { ref: false });
      }
      const isFilled = (): boolean => cache.closing.aborted || cache.isFilled(PART_OF_LOCAL);
      const { kept, missing } = await this.fill(await this.hotKeys(), () => isOver() || isFilled());
      this.counts.kept += kept;
      this.counts.missing += missing.length;
      if (loads !== undefined && this.callOf !== undefined) {
        const findMissing = async (): Promise<HotKeyOf[]> => {
          const found = await this.fill(await this.hotKeys(), isFilled);
          return [...found.missing, ...found.unread]; // a call finds out whether Redis has an entry
        };
        const onLoaded = (): number => this.counts.loaded++;
        await loads.takePart({ callOf: this.callOf, findMissing, onLoaded, signal: cache.closing }, mostAgeMs);
        this.counts.kept += (await this.fill(missing, isFilled)).kept;
      }
    });
  }

  /** The hottest keys of each namespace. */
  private async hotKeys(): Promise<HotKeyOf[]> {
    const { settings, hot } = this;
    const keys: HotKeyOf[] = [];
    if (settings !== false && hot !== undefined) {
      for (const namespace of settings.namespaces) {
        const hottest = await hot.hottest(namespace, settings.maxKeys);
        keys.push(...hottest.map(({ key }) => ({ namespace, key })));
      }
    }
    return keys;
  }

  /** Reads keys into L1, until `isEnough`, or Redis can't be asked. */
  private async fill(
    keys: readonly HotKeyOf[],
    isEnough: () => boolean,
  ): Promise<{ kept: number; missing: HotKeyOf[]; unread: HotKeyOf[] }> {
    const missing: HotKeyOf[] = [];
    const unread: HotKeyOf[] = [];
    let kept = 0;
    let isStopped = false;
    for (const namespace of new Set(keys.map((each) => each.namespace))) {
      const own = keys.filter((each) => each.namespace === namespace);
      for (let from = 0; from < own.length; from += KEYS_PER_READ) {
        const part = own.slice(from, from + KEYS_PER_READ);
        if (isStopped || isEnough()) {
          unread.push(...part);
          continue;
        }
        const found = await this.cache.use(namespace).fill(part.map(({ key }) => key));
        kept += found.kept;
        missing.push(...found.missing.map((key) => ({ namespace, key })));
        isStopped = found.unreachable === part.length;
      }
    }
    return { kept, missing, unread };
  }
}

/** Runs work in the background. Never rejects: Redis may be away, and nothing waits for the work. */
async function attempt(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch {
    // The events of the connection tell why.
  }
}
