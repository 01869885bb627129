import type { Redis } from 'ioredis';
import type { ConnectionSettings } from '../client-options.js';
import { REAL_TIME } from '../deadline.js';
import type { InvalidationChannel } from '../invalidation-channel.js';
import type { ProcessTopics } from '../process-topics.js';
import type { RedisConnection } from '../redis-connection.js';
import type { RedisConnectionLimits } from '../server-node.js';
import type { OperationObserver } from '../topology.js';
import { AheadKeys } from './ahead-keys.js';
import { findReplica, type Pick, replicasIn } from './home-choice.js';
import { HomeProgress, positionOfPrimary } from './home-progress.js';
import { HomeServer, type ReplicaAddress } from './home-server.js';

/*
 * The home of a process: the server that it reads from and listens at. It is the primary, or a replica. Every write
 * (leases, fills, `set`, deletions, stamps) goes to the primary, which decides what is stored.
 *
 * One home at a time, and no choice per read: the order in which the answer to a read and the message about a change
 * arrive is certain only when both come from the same server.
 *
 *     primary -> on trial -> in use -> primary
 *
 * A replica is on trial until three things are proven: it reports changes to this process; it has everything that the
 * primary had after that began; and every message of the primary from before has arrived. L1 then stays as it is,
 * because no change falls between the two channels. A replica is left when its connection or its channel is lost, or when it
 * is behind for too long; then this process listens at the primary again, with a new epoch, and looks for another replica.
 */

export interface HomeSettings {
  readonly nodes?: readonly ReplicaAddress[];
  readonly pick: Pick;
  readonly maxLagMs: number;
}

/** What the home needs of the invalidation channels, and what it reports. */
export interface HomeListener {
  /** The servers that are listened to have changed. */
  onSources(): void;
  /** The channel at a server; `undefined` when there is none. */
  channelAt(source: Redis): InvalidationChannel | undefined;
  /** @param reason why the previous home was left; `undefined` when a replica becomes the home */
  onMoved(to: string, reason: string | undefined): void;
  readonly operations?: OperationObserver;
}

/** The state of the home; see `HomeState` of the events. */
export interface HomeFacts {
  readonly home: string;
  readonly lagMs: number | undefined;
  readonly aheadKeys: number;
  readonly problem: string | undefined;
}

/** How much longer than a heartbeat and the longest lag a comparison may be due, in milliseconds. */
const SLACK_MS = 500;
const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 30_000;
/** A home that was in use for this long, in milliseconds, was a good choice: the next search begins soon. */
const STABLE_MS = 60_000;
/** How often a process marks that it listens at a replica, and how long the mark lives, in milliseconds. */
const MARK_EVERY_MS = 60_000;
const MARK_LIFE_MS = 3 * MARK_EVERY_MS;
/** Life of the key whose change proves that the replica reports changes, in milliseconds. */
const PROOF_LIFE_MS = 3000;

/** Chooses the home of this process, watches it, and leaves it. */
export class Home {
  /** The replica on trial or in use. */
  server: HomeServer | undefined;
  private isInUse = false;
  private usedSinceMs = Infinity;
  /** Since when the channel of the replica on trial has been live. */
  private heardSinceMs = Infinity;
  private ahead = new AheadKeys();
  private progress: HomeProgress | undefined;
  private problem: string | undefined;
  private isSearching = false;
  private isClosed = false;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private markedAtMs = -Infinity;

  constructor(
    private readonly settings: HomeSettings,
    private readonly connecting: { readonly settings: ConnectionSettings; readonly limits: RedisConnectionLimits },
    private readonly primary: RedisConnection,
    private readonly keys: ProcessTopics['homeKeys'],
    private readonly listener: HomeListener,
  ) {}

  /** Whether reads go to a replica, apart from those of keys that are ahead. */
  get isServing(): boolean {
    const { server, progress } = this;
    return this.isInUse && server?.isLive === true && this.primary.isLive && progress !== undefined && !this.isOverdue;
  }

  /** Whether this key is read at the home. */
  serves(key: string): boolean {
    return this.isServing && !this.ahead.has(key);
  }

  /** Whether a message of the replica about this key may be about a change that this process has made, or knows. */
  mayReportOwn(key: string): boolean {
    return this.ahead.mayBeReported(key, REAL_TIME.nowMs());
  }

  get facts(): HomeFacts {
    const { server, isInUse, progress, ahead, problem } = this;
    return isInUse && server !== undefined
      ? { home: server.name, lagMs: progress?.lagMs, aheadKeys: ahead.size, problem: undefined }
      : { home: 'primary', lagMs: undefined, aheadKeys: 0, problem };
  }

  /** The connections at which changes are listened to. @param primary the connection to the primary */
  sourcesBeside(primary: Redis): { readonly inUse: Redis; readonly onTrial: Redis | undefined } {
    const source = this.server?.source;
    return this.isInUse && source !== undefined
      ? { inUse: source, onTrial: undefined }
      : { inUse: primary, onTrial: source };
  }

  /** The connection to the home; `undefined` while that is the primary. */
  get sourceInUse(): Redis | undefined {
    return this.isInUse ? this.server?.source : undefined;
  }

  /** This process has changed these keys at the primary, or has read them there. */
  onKnown(keys: readonly string[]): void {
    if (this.server !== undefined) {
      this.ahead.add(keys);
      this.progress?.request();
    }
  }

  /** A message has arrived. */
  onMessage(): void {
    this.progress?.onMessage();
  }

  /** Called at each heartbeat of the primary, and when a channel changes its state. */
  check(isHeartbeat = false): void {
    if (this.isClosed || !this.primary.isLive) {
      return;
    }
    if (this.server === undefined) {
      if (this.timer === undefined) {
        void this.search();
      }
    } else if (this.isInUse) {
      this.checkInUse();
    } else {
      this.checkTrial();
    }
    if (isHeartbeat) {
      this.progress?.request();
      this.mark();
    }
  }

  /** Leaves a home whose last comparison is too old: this process may have been stopped meanwhile. */
  checkAge(): void {
    if (this.isInUse && this.isOverdue) {
      this.leave('overdue');
    }
  }

  /** The primary can't be used: L1 alone answers, and afterwards the home is chosen anew. */
  onPrimaryDown(): void {
    this.leave('the primary is down');
    this.failures = 0;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.progress?.stop();
    this.server?.close();
  }

  private get isOverdue(): boolean {
    const { provenAtMs } = this.progress ?? { provenAtMs: -Infinity };
    return REAL_TIME.nowMs() - provenAtMs > this.connecting.limits.heartbeatMs + this.settings.maxLagMs + SLACK_MS;
  }

  private async search(): Promise<void> {
    if (this.isSearching) {
      return;
    }
    this.isSearching = true;
    const found = await this.find().catch(() => 'the primary does not name its replicas');
    this.isSearching = false;
    if (typeof found === 'string' || this.isClosed || !this.primary.isLive) {
      if (typeof found === 'string') {
        this.problem = found;
      } else {
        found.close();
      }
      this.searchLater();
    } else {
      this.begin(found);
    }
  }

  private async find(): Promise<HomeServer | string> {
    const { nodes, pick } = this.settings;
    const addresses = nodes ?? replicasIn(await this.infoOfPrimary());
    return findReplica(addresses, pick, this.primary.roundTripMs, (address) => this.open(address));
  }

  private open(address: ReplicaAddress): HomeServer {
    const { settings, limits } = this.connecting;
    const server: HomeServer = new HomeServer(address, settings, limits, {
      onLive: () => {},
      onDown: (reason) => {
        if (this.server === server) {
          this.leave(reason);
        }
      },
      ...(this.listener.operations !== undefined && { operations: this.listener.operations }),
    });
    return server;
  }

  private begin(server: HomeServer): void {
    this.server = server;
    this.heardSinceMs = Infinity;
    this.ahead = new AheadKeys();
    this.ahead.addAll(); // this process may have written before
    const progress: HomeProgress = new HomeProgress(
      this.ahead,
      { ofPrimary: async () => positionOfPrimary(await this.infoOfPrimary()), ofHome: () => server.position() },
      this.settings.maxLagMs,
      {
        onProven: () => this.server === server && this.check(),
        onFailed: (reason) => this.server === server && this.leave(reason),
      },
    );
    this.progress = progress;
    const { heartbeatMs } = this.connecting.limits;
    this.timer = setTimeout(() => this.leave(this.trialProblem()), 3 * heartbeatMs + this.settings.maxLagMs);
    this.timer.unref();
    this.listener.onSources();
    this.check();
  }

  private checkTrial(): void {
    const channel = this.channelOfServer;
    if (channel?.isLive !== true) {
      this.heardSinceMs = Infinity;
      return;
    }
    if (this.heardSinceMs === Infinity) {
      this.heardSinceMs = REAL_TIME.nowMs();
      void this.proveTrial();
    } else if (channel.path.hasReported && this.isProvenSince(this.heardSinceMs)) {
      this.use();
    }
  }

  private async proveTrial(): Promise<void> {
    await this.changeProofKey();
    this.progress?.request();
    await this.channelOfPrimary?.check();
    this.check();
  }

  /** Whether the replica has everything from before, and the messages of the primary from before have arrived. */
  private isProvenSince(sinceMs: number): boolean {
    const { channelOfPrimary, progress } = this;
    const hasMessages = channelOfPrimary?.isLive !== true || channelOfPrimary.proofAgeMs < REAL_TIME.nowMs() - sinceMs;
    return hasMessages && (progress?.provenAtMs ?? -Infinity) >= sinceMs;
  }

  private use(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isInUse = true;
    this.usedSinceMs = REAL_TIME.nowMs();
    this.problem = undefined;
    this.listener.onSources();
    this.listener.onMoved(this.facts.home, undefined);
    this.markedAtMs = -Infinity;
    this.mark();
  }

  /** Marks that a process listens at a replica: see `ProcessTopics.homeKeys`. */
  private mark(): void {
    const nowMs = REAL_TIME.nowMs();
    if (this.isInUse && nowMs - this.markedAtMs >= MARK_EVERY_MS) {
      this.markedAtMs = nowMs;
      this.set(this.keys.replicaMark, MARK_LIFE_MS).catch(() => {});
    }
  }

  private set(key: string, lifeMs: number): Promise<unknown> {
    return this.primary.run('CHECK SET', (client) => client.set(key, '', 'PX', lifeMs), key);
  }

  private checkInUse(): void {
    if (this.channelOfServer === undefined || this.channelOfServer.state !== 'live') {
      this.leave('it reports no changes');
    }
  }

  private leave(reason: string): void {
    const { server, isInUse, usedSinceMs } = this;
    if (server === undefined) {
      return;
    }
    this.failures = isInUse && REAL_TIME.nowMs() - usedSinceMs > STABLE_MS ? 0 : this.failures;
    this.problem = `${server.name} was left (${reason})`;
    this.isInUse = false;
    this.server = undefined;
    this.progress?.stop();
    this.progress = undefined;
    server.close();
    this.searchLater(); // before the channels change, which causes a check
    this.listener.onSources();
    if (isInUse) {
      this.listener.onMoved('primary', reason);
    }
  }

  private searchLater(): void {
    clearTimeout(this.timer);
    if (this.isClosed) {
      return;
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.failures++, MOST_PAUSE_MS) * (0.75 + Math.random() / 2);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.check();
    }, pauseMs);
    this.timer.unref();
  }

  private trialProblem(): string {
    return this.channelOfServer?.problem ?? 'it reports no changes';
  }

  private get channelOfPrimary(): InvalidationChannel | undefined {
    const source = this.primary.topology.connectionOf('');
    return source && this.listener.channelAt(source);
  }

  private get channelOfServer(): InvalidationChannel | undefined {
    const source = this.server?.source;
    return source && this.listener.channelAt(source);
  }

  /** A change that the replica must report: without it a server that accepts `CLIENT TRACKING` without effect would do. */
  private async changeProofKey(): Promise<void> {
    await this.set(this.keys.proof, PROOF_LIFE_MS).catch(() => {}); // a message about another change does as well
  }

  private infoOfPrimary(): Promise<string> {
    return this.primary.run('CHECK INFO', (client) => (client as Redis).info('replication'), undefined, {
      isUrgent: true,
    });
  }
}
