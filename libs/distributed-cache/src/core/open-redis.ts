import { EntryCodec } from '../codec/index.js';
import type { CacheConfig } from '../config/index.js';
import type { Clock } from '../local/index.js';
import { TierReplyError } from '../errors/index.js';
import {
  Announcements,
  checkPermissions,
  PreviousConnection,
  InvalidationGroup,
  isCluster,
  isRefusal,
  probeFormerNames,
  probeScripts,
  probeTransactions,
  RedisConnection,
  RedisTier,
  ReplicaGuard,
  replayInvalidations,
  type PendingInvalidations,
  type RedisTarget,
  type Refusal,
  type ServerPart,
} from '../redis/index.js';
import type { RedisRuntime } from './cache-runtime.js';
import { KeptLeases } from './kept-leases.js';
import { LeaseTerm } from './lease-term.js';
import { OutageJournal } from './outage-journal.js';
import type { StampSurroundings } from './stamp-book.js';

/**
 * Operations that need not survive a failover: a fill, or the first stamp, that is lost with its master costs one more
 * load and makes no outdated value valid.
 */
const MAY_BE_LOST: ReadonlySet<string> = new Set(['FILL', 'SETNX']);

export interface RedisSettings {
  readonly config: CacheConfig;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Receives what the cache as a whole must know of Redis. */
export interface RedisNews {
  /** These keys were changed by others; `undefined`: any key may have been. */
  onChanged(keys: readonly string[] | undefined): void;
  onHearing(): void;
  onDeaf(): void;
  /** Called at each heartbeat while Redis can be used. */
  onHeartbeat(): void;
  /**
   * Redis can be used.
   * @param downMs how long it could not be used, in milliseconds; `undefined` at the first connection
   */
  onLive(downMs: number | undefined): void;
  onDown(reason: string): void;
  /**
   * One master of a cluster can't be used, or can be used again, while others could all the time.
   * @param address `host:port`
   */
  onNodeDown(address: string, reason: string): void;
  onNodeLive(address: string, downMs: number): void;
  /** Redis answers, but refuses a command. */
  onRefused(refusal: Refusal): void;
}

/**
 * Assembles the parts of L2. It also defines the order in which a connection that is back is restored: the previous
 * connection is ended, the pending invalidations are replayed, the invalidation channel is set up, and only then is the
 * connection trusted.
 */
export function openRedis(
  target: RedisTarget,
  { config, clock, leaseMs }: RedisSettings,
  news: RedisNews,
): RedisRuntime {
  const { deadlineMs, commandTimeoutMs, heartbeatMs, keyPrefix, maxValueBytes, compression } = config;
  const previous = new PreviousConnection();
  const journal = new OutageJournal({
    nowMs: () => clock.nowMs(),
    serverNowMs: (key) => connection.serverNowMs(key),
    latestServerNowMs: (key) => connection.serverNowMs(key) + connection.serverErrorMs(key),
    get roundTripMs() {
      return connection.roundTripMs;
    },
    get isServing() {
      return connection.isLive;
    },
  });
  const keptLeases = new KeptLeases();
  const changes = new InvalidationGroup(
    {
      prefix: `${keyPrefix}:`,
      deadlineMs,
      heartbeatMs,
      savesNonces: target.kind === 'cluster' || (target.kind === 'client' && isCluster(target.client)),
      announcements: new Announcements(`${keyPrefix}:`),
    },
    {
      onChanged: (keys) => news.onChanged(keys),
      onTrackingUp: () => news.onHearing(),
      onTrackingLost: () => news.onDeaf(),
    },
    {
      get allNodesUp() {
        return connection.nodes.allUp;
      },
      sourceOf: (key) => connection.nodes.ownerOf(key)?.client,
    },
  );
  /**
   * Sent after the change, so that other processes do not read the previous value again. A user without the right to
   * publish does without.
   */
  const announce = async (keys: readonly string[], run: ServerPart['run']): Promise<void> => {
    const { topic, messages } = changes.announcementOf(keys);
    for (const message of messages) {
      await run('PUBLISH', (client) => client.publish(topic, message)).catch((error: unknown) => {
        if (!(error instanceof TierReplyError)) {
          throw error;
        }
      });
    }
  };
  /**
   * Sends pending invalidations and announces them.
   * @param confirm a further condition of a change that counts as done
   */
  const replay = async (
    pending: PendingInvalidations,
    run: ServerPart['run'],
    confirm?: (key: string) => Promise<void>,
  ): Promise<void> => {
    await run('UNLINK', (client) => replayInvalidations(client, pending));
    const stampKeys = [...pending.stamps.keys()];
    const keys = [...pending.entries.map(({ valueKey }) => valueKey), ...stampKeys];
    await announce(keys, run);
    const [first] = keys;
    if (confirm !== undefined && first !== undefined) {
      await confirm(first);
    }
    // Redis notifies the other processes; this one may have held the old stamps since the call. It is done once, as it
    // drops everything in L1.
    news.onChanged(stampKeys);
  };
  const replayTo = (part: ServerPart): Promise<void> =>
    journal.replay(
      (pending) =>
        replay(
          pending,
          (operation, send) => part.run(operation, send),
          config.strict ? (key) => guard.confirm('UNLINK', key) : undefined,
        ),
      (key) => part.owns(key),
    );
  let isCatchingUp = false;
  /**
   * Replays what is pending, also what Redis refused while it served (READONLY after a failover). A long replay is not
   * started twice at the same time.
   */
  const catchUp = (): void => {
    keptLeases.release();
    if (isCatchingUp || journal.size === 0) {
      return;
    }
    isCatchingUp = true;
    void Promise.allSettled(connection.parts.map(replayTo)).then(() => (isCatchingUp = false)); // the rest at the next heartbeat
  };
  const connection = new RedisConnection(
    target,
    { deadlineMs, commandTimeoutMs, heartbeatMs, nowMs: () => clock.nowMs() },
    {
      onLive: (downMs) => {
        news.onLive(downMs);
        catchUp();
        void checkPermissions(connection, `${keyPrefix}:`);
      },
      onRefused: (refusal) => news.onRefused(refusal),
      onDown: (reason) => news.onDown(reason),
      onNodeDown: (name, reason) => {
        changes.refresh();
        news.onNodeDown(name, reason);
      },
      onNodeLive: (name, downMs) => {
        changes.refresh();
        keptLeases.release();
        news.onNodeLive(name, downMs);
      },
      beforeLive: async (client) => {
        if (!isCluster(client)) {
          await previous.killFor(client);
        }
        connection.refusals.clear();
        const prefix = `${keyPrefix}:`;
        await Promise.all([
          probeTransactions(client),
          probeFormerNames(client, prefix),
          probeScripts(connection, client, prefix),
        ]);
        if (!isCluster(client)) {
          // What is refused stays in the journal, and its keys are misses here.
          await journal.replay((pending) => replay(pending, (_operation, send) => send(client))).catch(unlessRefused);
        } // a cluster replays each master's part separately; until then these keys are misses here
        await changes.open(client);
      },
      beforeNodeLive: (part) => replayTo(part),
      onHeartbeat: () => {
        changes.refresh();
        catchUp();
        news.onHeartbeat();
        if (connection.refusals.all.some(({ reply }) => reply !== 'READONLY' && reply !== 'MOVED')) {
          void checkPermissions(connection, `${keyPrefix}:`); // the rights may have been granted, or memory freed
        }
      },
    },
  );
  // Each namespace derives a tier with the codec of its own entries.
  const tier = new RedisTier(connection, new EntryCodec({ maxValueBytes, compression }), (operation, keys) => {
    const [first] = keys;
    const isToBeConfirmed = config.strict && first !== undefined && !MAY_BE_LOST.has(operation);
    const announcing = (): Promise<void> | undefined =>
      changes.announces ? announce(keys, (each, send) => connection.run(each, send, first)) : undefined;
    return isToBeConfirmed ? guard.confirm(operation, first).then(announcing) : announcing();
  });
  const guard = new ReplicaGuard(connection, deadlineMs, () => clock.nowMs());
  const stamps: StampSurroundings = {
    tier,
    hears: (stampKey) => changes.tracksChanges(stampKey),
    latestServerNowMs: (stampKey) => connection.serverNowMs(stampKey) + connection.serverErrorMs(stampKey),
    nowMs: () => clock.nowMs(),
    isExcused: (stampKey) => {
      const sinceMs = connection.isLive ? connection.outageSinceMs(stampKey) : undefined;
      return sinceMs !== undefined && config.fallback !== false && clock.nowMs() - sinceMs < config.fallback.ttlMs;
    },
  };
  return { connection, tier, changes, journal, keptLeases, leaseTerm: new LeaseTerm(leaseMs), stamps };
}

function unlessRefused(error: unknown): void {
  if (!isRefusal(error)) {
    throw error;
  }
}
