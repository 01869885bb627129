import { EntryCodec } from '../codec/index.js';
import type { CacheConfig, ResolvedRedis } from '../config/index.js';
import { keyChangeOf } from '../keys/index.js';
import type { Clock } from '../local/index.js';
import { TierReplyError, TierUnreplicatedError } from '../errors/index.js';
import {
  Announcements,
  checkPermissions,
  InvalidationGroup,
  isCluster,
  isRefusal,
  Outbox,
  probeScripts,
  probeTransactions,
  ProcessTopics,
  RedisConnection,
  RedisTier,
  ReplicaGuard,
  replayInvalidations,
  type OperationObserver,
  type OwnChanges,
  type PendingInvalidations,
  type RedisClient,
  type RedisTarget,
  type Refusal,
  type ServerPart,
} from '../redis/index.js';
import type { RedisRuntime } from './runtime.js';
import { PendingReleases, LeaseTerm } from './lease.js';
import { OutageJournal } from './outage-journal.js';
import type { StampStore } from './stamps.js';

/**
 * Operations that need not survive a failover: a fill, or the first stamp, that is lost with its master costs one more
 * load and makes no outdated value valid.
 */
const MAY_BE_LOST: ReadonlySet<string> = new Set(['FILL', 'SETNX']);

/** How long a prefix is marked with the name of an application: longer than applications run without a restart. */
const PREFIX_MARK_LIFE_MS = 30 * 24 * 3_600_000;

/** The form of a name of an application. Any other text in the mark is not logged. */
const APPLICATION_NAME = /^[\w@./-]{1,250}$/;

interface RedisSettings {
  readonly config: CacheConfig;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Receives what the cache as a whole must know of Redis. */
interface RedisListener {
  /**
   * These keys were changed by others; `undefined`: any key may have been.
   * @param isMessage whether Redis, or another process, has sent a message about it
   */
  onChanged(keys: readonly string[] | undefined, isMessage: boolean): void;
  onTrackingUp(): void;
  onTrackingLost(): void;
  /** An invalidation channel was lost, is live again, or is in doubt: L1 may be trusted no longer, or again. */
  onTrust(): void;
  /** See `SignalPathLimits.onLag`. */
  onLag(lagMs: number): void;
  readonly operations: OperationObserver;
  /** Called at each heartbeat while Redis can be used. */
  onHeartbeat(): void;
  /**
   * Redis can be used.
   * @param downMs how long it could not be used, in milliseconds; `undefined` at the first connection
   */
  onLive(downMs: number | undefined): void;
  onDown(reason: string): void;
  /** The cause of the outage has become known. */
  onCause(reason: string): void;
  /** Redis, or one master of a cluster, was in doubt for a moment: changes of that time have not been sent. */
  onDoubtEnded(): void;
  /**
   * One master of a cluster can't be used, or can be used again, while others could all the time.
   * @param address `host:port`
   */
  onNodeDown(address: string, reason: string): void;
  onNodeLive(address: string, downMs: number): void;
  /** The pending invalidations of a namespace have become one `clear` of it. */
  onJournalFull(namespace: string): void;
  /** Redis answers, but refuses a command. */
  onRefused(refusal: Refusal): void;
}

/** Connects to the Redis that the configuration describes; `undefined` when there is none. */
export function connectRedis(settings: RedisSettings, listener: RedisListener): RedisRuntime | undefined {
  const target = redisTarget(settings.config.redis);
  return target === undefined ? undefined : new RedisParts(target, settings, listener);
}

/** The parts of L2, and what they do when a connection is lost, when it is back, and at each heartbeat. */
class RedisParts implements RedisRuntime {
  readonly connection: RedisConnection;
  readonly tier: RedisTier;
  readonly outbox: Outbox | undefined;
  readonly relayedTier: RedisTier;
  readonly changes: InvalidationGroup;
  readonly journal: OutageJournal;
  readonly pendingReleases = new PendingReleases();
  readonly stamps: StampStore;
  readonly leaseTerm: LeaseTerm;
  readonly topics: ProcessTopics;

  private readonly config: CacheConfig;
  private readonly prefix: string;
  private readonly guard: ReplicaGuard;
  private isCatchingUp = false;

  constructor(
    target: RedisTarget,
    { config, clock, leaseMs }: RedisSettings,
    private readonly listener: RedisListener,
  ) {
    const { deadlineMs, commandTimeoutMs, heartbeatMs, keyPrefix, maxValueBytes, compression } = config;
    const nowMs = (): number => clock.nowMs();
    this.config = config;
    this.prefix = `${keyPrefix}:`;
    this.leaseTerm = new LeaseTerm(leaseMs);
    this.topics = new ProcessTopics(this.prefix);
    this.connection = new RedisConnection(
      target,
      { deadlineMs, commandTimeoutMs, heartbeatMs, nowMs },
      {
        beforeLive: (client, wasInDoubt) => (wasInDoubt ? this.replayJournal(client) : this.recover(client)),
        beforeNodeLive: (part) => this.restore(part),
        onLive: (downMs) => this.onLive(downMs),
        onDown: (reason) => listener.onDown(reason),
        onCause: (reason) => listener.onCause(reason),
        onDoubtEnded: () => {
          listener.onDoubtEnded();
          this.pendingReleases.release();
        },
        onNodeLive: (name, downMs) => this.onNodeLive(name, downMs),
        onNodeDown: (name, reason) => this.onNodeDown(name, reason),
        onHeartbeat: () => this.onHeartbeat(),
        onRefused: (refusal) => listener.onRefused(refusal),
        operations: listener.operations,
      },
    );
    const { connection } = this;
    // remedy: stamp-time-plus-clock-error
    const latestServerNowMs = (key: string): number => connection.serverNowMs(key) + connection.serverErrorMs(key);
    this.guard = new ReplicaGuard(connection, deadlineMs, nowMs);
    this.journal = new OutageJournal(
      {
        nowMs,
        serverNowMs: (key) => connection.serverNowMs(key),
        latestServerNowMs,
        get roundTripMs() {
          return connection.roundTripMs;
        },
      },
      (clearStampKey) => listener.onJournalFull(keyChangeOf(clearStampKey, this.prefix.length)?.namespace ?? ''),
    );
    this.changes = new InvalidationGroup(
      {
        prefix: this.prefix,
        deadlineMs,
        heartbeatMs,
        savesNonces: target.kind === 'cluster' || (target.kind === 'client' && isCluster(target.client)),
        announcements: new Announcements(this.prefix),
        onLag: (lagMs) => listener.onLag(lagMs),
        topics: this.topics,
      },
      {
        onChanged: (keys) => {
          listener.onChanged(keys, true);
          this.outbox?.onChanged(keys);
        },
        onTrust: () => listener.onTrust(),
        onTrackingUp: () => {
          connection.refusals.allow('PUBLISH'); // the proof of the channel was published
          listener.onTrackingUp();
        },
        onTrackingLost: () => listener.onTrackingLost(),
      },
      {
        get areAllConnected() {
          return connection.topology.areAllConnected;
        },
        sourceOf: (key) => connection.topology.connectionOf(key),
      },
    );
    const { changes } = this;
    // Each namespace derives a tier with the codec of its own entries.
    const codec = new EntryCodec({ maxValueBytes, compression });
    const outbox = config.region === undefined ? undefined : new Outbox(this.prefix, connection);
    const after: OwnChanges['after'] = (operation, keys) => this.afterChange(operation, keys);
    this.outbox = outbox;
    // remedy: relayed-is-not-recorded
    this.relayedTier = new RedisTier(connection, codec, { after });
    this.tier =
      outbox === undefined
        ? this.relayedTier
        : new RedisTier(connection, codec, { before: (operation, keys) => outbox.record(operation, keys), after });
    this.stamps = {
      tier: this.tier,
      tracksChanges: (stampKey) => changes.tracksChanges(stampKey),
      latestServerNowMs,
      nowMs,
      mayServeHeldStamp: (stampKey) => {
        const sinceMs = connection.isLive ? connection.outageSinceMs(stampKey) : undefined;
        return sinceMs !== undefined && config.fallback !== false && clock.nowMs() - sinceMs < config.fallback.ttlMs;
      },
    };
  }

  onRelayed(keys: readonly string[]): void {
    this.listener.onChanged(keys, false);
  }

  get isUnreplicated(): boolean {
    return this.guard.isUnconfirmed;
  }

  async markPrefix(application: string): Promise<string | undefined> {
    // The braces make it an auxiliary key: the message about its change concerns no process.
    const key = `${this.prefix}{#application}`;
    try {
      const mark = await this.connection.run('CHECK GET', (client) => client.get(key), key);
      await this.connection.run('CHECK SET', (client) => client.set(key, application, 'PX', PREFIX_MARK_LIFE_MS), key);
      return mark !== null && APPLICATION_NAME.test(mark) ? mark : undefined;
    } catch {
      return undefined; // the refusal of a command is reported where entries need it
    }
  }

  /**
   * Restores a connection that is back, after the previous one was ended, in this order: replay the journal, listen to
   * changes, which starts a new epoch. Then the connection closes its breaker and reports {@link onLive}.
   */
  private async recover(client: RedisClient): Promise<void> {
    await this.checkServer(client);
    await this.replayJournal(client);
    await this.changes.open(client);
  }

  private async checkServer(client: RedisClient): Promise<void> {
    this.connection.refusals.clear();
    await Promise.all([probeTransactions(client), probeScripts(this.connection, client, this.prefix)]);
  }

  /** Replays the journal. A cluster replays the part of each master separately; until then its keys are misses here. */
  private async replayJournal(client: RedisClient): Promise<void> {
    if (!isCluster(client)) {
      await this.restore({ owns: () => true, run: (_operation, send) => send(client) });
    }
  }

  /**
   * Replays the journal to a server that is back. The server is used afterwards in any case: what it refuses, and in
   * strict mode what no replica has yet, stays in the journal, and is repeated at the heartbeats. Until then these keys
   * are misses here.
   */
  private restore(part: ServerPart): Promise<void> {
    const mayWait = (error: unknown): boolean => error instanceof TierUnreplicatedError || isRefusal(error);
    return this.replayTo(part, mayWait).catch(unlessRefused);
  }

  private onLive(downMs: number | undefined): void {
    this.listener.onLive(downMs);
    this.outbox?.onLive();
    this.catchUp();
    void checkPermissions(this.connection, this.prefix);
  }

  private onNodeLive(name: string, downMs: number): void {
    this.changes.refresh();
    this.changes.hurry();
    this.pendingReleases.release();
    this.connection.refusals.clear(name);
    void checkPermissions(this.connection, this.prefix);
    this.listener.onNodeLive(name, downMs);
  }

  private onNodeDown(name: string, reason: string): void {
    this.changes.refresh();
    this.listener.onNodeDown(name, reason);
  }

  private onHeartbeat(): void {
    this.changes.refresh();
    this.outbox?.onHeartbeat();
    if (!this.changes.receivesChanges && this.changes.lostReason !== undefined) {
      this.listener.onTrackingLost(); // it may have been lost with the connection, and not come back with it
    }
    this.catchUp();
    this.listener.onHeartbeat();
    if (this.connection.refusals.all.some(({ reply }) => reply !== 'MOVED')) {
      void checkPermissions(this.connection, this.prefix); // the rights may have been granted, or memory freed
    }
  }

  /**
   * Replays what is pending, also what Redis refused while it served (READONLY after a failover). A long replay is not
   * started twice at the same time.
   */
  private catchUp(): void {
    this.pendingReleases.release();
    if (this.isCatchingUp || this.journal.size === 0) {
      return;
    }
    this.isCatchingUp = true;
    const replays = this.connection.topology.parts.map((part) => this.replayTo(part));
    void Promise.allSettled(replays).then(() => (this.isCatchingUp = false)); // the rest at the next heartbeat
  }

  /** @param mayWait whether a change that fails to reach a replica with this error may wait; the others go on then */
  private replayTo(part: ServerPart, mayWait: (error: unknown) => boolean = () => false): Promise<void> {
    const run: ServerPart['run'] = (operation, send) => part.run(operation, send);
    return this.journal.replay(
      (pending) => this.sendPending(pending, run, mayWait),
      (key) => part.owns(key),
    );
  }

  /** Sends pending invalidations and announces them. @returns whether they are done */
  private async sendPending(
    pending: PendingInvalidations,
    run: ServerPart['run'],
    mayWait: (error: unknown) => boolean,
  ): Promise<boolean> {
    const stampKeys = [...pending.stamps.keys()];
    const keys = [...pending.entries.map(({ valueKey }) => valueKey), ...stampKeys];
    // remedy: replay-is-relayed
    const isRecorded = (await this.outbox?.replay(keys, run)) !== false;
    await run('UNLINK', (client) => replayInvalidations(client, pending));
    await this.announce(keys, run);
    const isDone = (await this.isReplicated(keys[0], run, mayWait)) && isRecorded;
    // Redis notifies the other processes; this one may have held the old stamps since the call. It is done once, as it
    // drops everything in L1.
    // remedy: replayed-clear-is-told
    this.listener.onChanged(stampKeys, false);
    return isDone;
  }

  private async isReplicated(
    key: string | undefined,
    run: ServerPart['run'],
    mayWait: (error: unknown) => boolean,
  ): Promise<boolean> {
    if (!this.config.strict || key === undefined) {
      return true;
    }
    try {
      await this.guard.confirm('UNLINK', key, run);
      return true;
    } catch (error) {
      if (!mayWait(error)) {
        throw error;
      }
      return false;
    }
  }

  /** What must follow a change that Redis has acknowledged, before the change counts as done. */
  private afterChange(operation: string, keys: readonly string[]): Promise<void> | undefined {
    const { changes, config, connection } = this;
    const [first] = keys;
    // remedy: strict-waits-for-replica
    const isToBeConfirmed = config.strict && first !== undefined && !MAY_BE_LOST.has(operation);
    // remedy: announce-changes
    const announcing = (): Promise<void> | undefined =>
      changes.announces ? this.announce(keys, (each, send) => connection.run(each, send, first)) : undefined;
    return isToBeConfirmed ? this.guard.confirm(operation, first).then(announcing) : announcing();
  }

  /**
   * Announces changed keys, after the change, so that other processes do not read the previous value again. A user
   * without the right to publish does without.
   */
  private async announce(keys: readonly string[], run: ServerPart['run']): Promise<void> {
    const { topic, messages } = this.changes.announcementOf(keys);
    for (const message of messages) {
      await run('PUBLISH', (client) => client.publish(topic, message)).catch((error: unknown) => {
        if (!(error instanceof TierReplyError)) {
          throw error;
        }
      });
    }
  }
}

/** The Redis that the configuration describes; `undefined` when there is none. */
export function redisTarget(redis: ResolvedRedis): RedisTarget | undefined {
  if (redis.kind === 'none') {
    return undefined;
  }
  // The configuration has checked that it is one.
  return redis.kind === 'client' ? { kind: 'client', client: redis.client as RedisClient } : redis;
}

function unlessRefused(error: unknown): void {
  if (!isRefusal(error)) {
    throw error;
  }
}
