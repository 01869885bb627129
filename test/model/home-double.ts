import { AheadKeys } from '../../libs/distributed-cache/src/redis/home/ahead-keys.js';
import type { Home } from '../../libs/distributed-cache/src/redis/home/home.js';
import { HomeProgress } from '../../libs/distributed-cache/src/redis/home/home-progress.js';
import { HomeReads } from '../../libs/distributed-cache/src/redis/home/home-reads.js';
import type { Reads } from '../../libs/distributed-cache/src/redis/batches.js';
import type { RedisConnection } from '../../libs/distributed-cache/src/redis/redis-connection.js';
import { TierUnavailableError } from '../../libs/distributed-cache/src/errors/index.js';
import type { LinkDouble } from './link-double.js';
import type { RedisDouble } from './redis-double.js';
import type { ReplicaDouble } from './replica-double.js';

/** The rules of a home replica. Each is switched off in a test, to see that the model notices. */
export interface HomeRules {
  /** A key that this process has changed is read at the primary until the home has the change. */
  readonly ahead: boolean;
  /** Only the position of the home proves that it has a change; a message about the key does not. */
  readonly position: boolean;
  /** A home that falls behind is left. */
  readonly watch: boolean;
  /** A message about a key taints the reads of it that are under way. */
  readonly taint: boolean;
}

export const ALL_RULES: HomeRules = { ahead: true, position: true, watch: true, taint: true };

/** Each look at the clock is so many milliseconds after the last, so that a wait for a deaf replica ends. */
const TICK_MS = 50;

/** The home of one process: the real reads, ahead keys and comparison of positions, over a double of the replica. */
export class HomeDouble {
  readonly reads: HomeReads;
  readonly progress: HomeProgress;
  readonly server: { readonly reads: Reads };
  isServing = true;
  private readonly ahead = new AheadKeys();
  private nowMs = 0;

  constructor(
    readonly replica: ReplicaDouble,
    readonly link: LinkDouble,
    primary: { readonly redis: RedisDouble; ask<Answer>(key: string, execute: () => Answer): Promise<Answer> },
    private readonly rules: HomeRules,
    connection: object,
    onFailed: () => void,
  ) {
    const { redis } = primary;
    const unused = (): never => {
      throw new Error('the model does not use this');
    };
    const readsOf = (
      ask: <Answer>(key: string, execute: () => Answer) => Promise<Answer>,
      server: Pick<ReplicaDouble, 'get' | 'readString'>,
    ): Reads => {
      const reads: Reads = {
        get atPrimary() {
          return reads;
        },
        keysPerReply: (most) => most,
        get: async (key) => ((await ask(key, () => server.get(key))) ?? null) as Buffer | null,
        getMany: unused,
        ask: (_operation, key) => ask(key, () => server.readString(key)) as Promise<never>,
      };
      return reads;
    };
    const atPrimary = readsOf((key, execute) => primary.ask(key, execute), redis);
    this.server = { reads: readsOf((_key, execute) => this.askHome(execute), replica) };
    this.reads = new HomeReads(this as unknown as Home, atPrimary, connection as RedisConnection);
    this.progress = new HomeProgress(
      this.ahead,
      {
        ofPrimary: () => primary.ask('#clear', () => redis.position),
        ofHome: () => this.askHome(() => replica.position),
      },
      20 * TICK_MS,
      { onProven: () => {}, onFailed: () => rules.watch && onFailed() },
      () => (this.nowMs += TICK_MS),
    );
  }

  serves(key: string): boolean {
    return this.isServing && !(this.rules.ahead && this.ahead.has(key));
  }

  mayReportOwn(key: string): boolean {
    return this.ahead.mayBeReported(key, this.nowMs);
  }

  onKnown(keys: readonly string[]): void {
    this.ahead.add(keys);
    this.progress.request();
  }

  onMessage(): void {
    if (!this.rules.position) {
      this.ahead.reach(this.ahead.lastChange, this.nowMs); // as if each message proved that own changes are there
    }
    this.progress.onMessage();
  }

  private askHome<Answer>(execute: () => Answer): Promise<Answer> {
    return this.replica.isDead || !this.isServing
      ? Promise.reject(new TierUnavailableError('GET', 'not-connected'))
      : this.link.call(execute);
  }
}
