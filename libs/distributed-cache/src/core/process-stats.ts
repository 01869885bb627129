import { TierReplyError, TierTimeoutError, TierUnavailableError } from '../errors/index.js';
import { type CacheEvents, ProcessMetrics, type RedisOperation, type RedisOutcome } from '../events/index.js';
import { CLEAR, keyChangeOf, TAG_STAMP } from '../keys/index.js';
import { REAL_TIME, type OperationObserver } from '../redis/index.js';
import { refusalsOf } from './health.js';
import type { CacheRuntime } from './runtime.js';

/** What the commands of the connection are for. Others (probes, checks) are of no entry, and not observed. */
const OPERATIONS: Readonly<Record<string, RedisOperation>> = {
  GET: 'get',
  PTTL: 'get',
  INSPECT: 'get',
  MGET: 'getMany',
  SET: 'set',
  SETNX: 'set',
  UNLINK: 'delete',
  EXPIRE: 'delete',
  PEXPIRE: 'tags',
  TAKE: 'lease',
  RENEW: 'lease',
  RELEASE: 'lease',
  MARK: 'lease',
  FILL: 'fill',
};

/** Counts what concerns all namespaces of a process, and emits what is measured of its operations in Redis. */
export class ProcessStats implements OperationObserver {
  /** How often all of L1 was dropped. */
  epochs = 0;
  private readonly scopes = { keys: 0, tags: 0, namespaces: 0, all: 0 };
  private readonly prefixLength: number;
  private readonly operations: { readonly isObserved: boolean };
  private distrustedMs = 0;
  private distrustedSinceMs: number | undefined;

  constructor(
    keyPrefix: string,
    private readonly events: CacheEvents,
  ) {
    this.prefixLength = keyPrefix.length + 1;
    this.operations = events.observation('redisOperation');
  }

  get isObserved(): boolean {
    return this.operations.isObserved;
  }

  onEnded(command: string, key: string | undefined, durationMs: number, error: unknown, server: string): void {
    const operation = this.operationOf(command, key);
    const wasSent = !(error instanceof TierUnavailableError) || error.wasSent;
    if (operation !== undefined && wasSent) {
      this.events.emit('redisOperation', { operation, outcome: outcomeOf(error), durationMs, server });
    }
  }

  /** Counts a message. @param keys the changed keys; `undefined`: any key may have changed */
  received(keys: readonly string[] | undefined): void {
    const { scopes } = this;
    if (keys === undefined) {
      scopes.all++;
      return;
    }
    for (const key of keys) {
      const scope = this.scopeOf(key);
      if (scope !== undefined) {
        scopes[scope]++;
      }
    }
  }

  /** Emits the most time that a message took. */
  lag(lagMs: number): void {
    if (this.events.isObserved('invalidationLag')) {
      this.events.emit('invalidationLag', { lagMs });
    }
  }

  /** Looks whether L1 is passed over although Redis serves; to be called when that may have changed. */
  updateDistrust({ redis, local }: Pick<CacheRuntime, 'redis' | 'local'>): void {
    const nowMs = REAL_TIME.nowMs();
    if (this.distrustedSinceMs !== undefined) {
      this.distrustedMs += nowMs - this.distrustedSinceMs;
    }
    const { connection, changes } = redis ?? {};
    const isServed = connection?.isLive === true && connection.topology.allUp && local !== undefined;
    const isPassedOver = isServed && changes?.isFullyTracked !== true && changes?.state !== 'announced';
    this.distrustedSinceMs = isPassedOver ? nowMs : undefined;
  }

  snapshot(runtime: CacheRuntime): ProcessMetrics {
    const { redis, local } = runtime;
    const { scopes } = this;
    this.updateDistrust(runtime);
    const { state, topology } = redis?.connection ?? {};
    const nodes = topology?.nodes.length ?? 0;
    const down = state === 'live' ? (topology?.down.length ?? 0) : state === 'down' ? nodes : 0;
    const isReceiving = redis?.changes.state === 'live' || redis?.changes.state === 'announced';
    const home = redis?.home?.facts;
    const { isWarm, counts, facts, durationMs } = runtime.warmUp;
    const whenWarming = (value: number): number | undefined => (facts === undefined ? undefined : value);
    const whenThere = (value: number): number | undefined => (redis === undefined ? undefined : value);
    return new ProcessMetrics({
      keysInvalidated: whenThere(scopes.keys),
      tagsInvalidated: whenThere(scopes.tags),
      namespacesInvalidated: whenThere(scopes.namespaces),
      allInvalidated: whenThere(scopes.all),
      distrustedSeconds: whenThere(Math.round(this.distrustedMs) / 1000),
      epochs: this.epochs,
      journalOverflows: whenThere(redis?.journal.overflows ?? 0),
      localLimitBytes: local?.maxBytes,
      invalidationLive: state === 'idle' ? undefined : whenThere(isReceiving ? 1 : 0),
      journalEntries: whenThere(redis?.journal.size ?? 0),
      refusedCommands: redis && refusalsOf(redis, runtime.config.keyPrefix).length,
      homeReplica: whenThere(home === undefined || home.home === 'primary' ? 0 : 1),
      homeLagSeconds: whenThere((home?.lagMs ?? 0) / 1000),
      aheadKeys: whenThere(home?.aheadKeys ?? 0),
      redisNodesLive: whenThere(state === 'live' ? nodes - down : 0),
      redisNodesDown: whenThere(down),
      warmUpKept: whenWarming(counts.kept),
      warmUpMissing: whenWarming(counts.missing),
      warmUpLoaded: whenWarming(counts.loaded),
      warm: whenWarming(isWarm ? 1 : 0),
      warmUpSeconds: durationMs === undefined ? undefined : whenWarming(durationMs / 1000),
    });
  }

  private operationOf(command: string, key: string | undefined): RedisOperation | undefined {
    const scope = key === undefined ? undefined : this.scopeOf(key);
    return scope === 'tags' ? 'tags' : scope === 'namespaces' ? 'clear' : OPERATIONS[command];
  }

  private scopeOf(key: string): 'keys' | 'tags' | 'namespaces' | undefined {
    const change = keyChangeOf(key, this.prefixLength);
    if (change === undefined || change.isEndOfLoad || change.namespace.startsWith('#')) {
      return undefined; // `#proof:...` is no namespace
    }
    const { encodedKey } = change;
    if (!encodedKey.startsWith('#')) {
      return 'keys';
    }
    return encodedKey.startsWith(TAG_STAMP) ? 'tags' : encodedKey === CLEAR ? 'namespaces' : undefined;
  }
}

function outcomeOf(error: unknown): RedisOutcome {
  if (error === undefined) {
    return 'ok';
  }
  return error instanceof TierTimeoutError ? 'timeout' : error instanceof TierReplyError ? 'refused' : 'error';
}
