import { Injectable, Logger } from '@nestjs/common';
import {
  type CacheConfig,
  CacheError,
  type CacheEventMap,
  type CacheEvents,
  DEFAULTS,
  describeKey,
  type DistributedCache,
} from '../core/index.js';

const ERROR_EVENT_NAMES = {
  get: 'redis_get_error',
  set: 'redis_set_error',
  delete: 'redis_delete_error',
  clear: 'redis_delete_error',
} as const;

/** The same fault is logged once within this time, in milliseconds, with the number of repetitions in between. */
const REPEAT_AFTER_MS = 10_000;

const CLASS_LOST =
  '. The schema turns an instance of a class into another object. Write a schema that keeps the instance, such as z.instanceof(User), or let the method return plain data';

/**
 * Writes the cache's events to Nest's logger, under their wire names. Changes of state are logged once each way, and each
 * fault at most once in ten seconds. Hits, misses, sets and all other changes are logged only with `logLookups`, at debug
 * level, if that level is enabled when the application starts: in Nest's logger it is by default. Keys are shortened, and
 * values never logged.
 */
@Injectable()
export class CacheLogger {
  private readonly logger = new Logger('DistributedCache');
  private readonly faults = new Map<string, { lastAtMs: number; unlogged: number }>();
  private readonly refusedClasses = new Set<string>();
  private unsubscribe: (() => void)[] = [];

  listenTo({ config, events }: DistributedCache): void {
    this.stop();
    this.logger.log(`cache_configured ${config.describe()}${prefixHint(config)}`);
    this.unsubscribe = [
      ...this.listenToState(events),
      // A prefix that was chosen may be shared on purpose.
      events.on('prefixShared', ({ application, other }) =>
        this.logger[config.keyPrefix === DEFAULTS.keyPrefix ? 'warn' : 'log'](
          `cache_prefix_shared ${other} uses the key prefix "${config.keyPrefix}" too, so methods with equal names share entries: set CACHE_KEY_PREFIX to another text in ${application}, unless they are meant to`,
        ),
      ),
      ...(config.logLookups && Logger.isLevelEnabled('debug') ? this.listenToLookups(events) : []),
    ];
  }

  stop(): void {
    this.unsubscribe.forEach((unsubscribe) => unsubscribe());
    this.unsubscribe = [];
  }

  private listenToState(events: CacheEvents): (() => void)[] {
    const { logger } = this;
    return [
      events.on('redisConnected', ({ address, downMs }) =>
        logger.log(`redis_connected ${address}${downMs > 0 ? ` after ${seconds(downMs)}` : ''}`),
      ),
      events.on('redisConnectionFailed', ({ address, reason }) =>
        logger.warn(`redis_connection_failed ${address}: ${reason}`),
      ),
      events.on('redisRefused', ({ command, keyPattern, reply, effect }) =>
        logger.warn(`redis_refused ${command} on ${keyPattern} (${reply}): ${effect}`),
      ),
      events.on('fallbackOn', ({ reason }) =>
        logger.warn(`cache_fallback_on the local tier serves until Redis is back (${reason})`),
      ),
      events.on('fallbackOff', ({ downMs }) =>
        logger.log(`cache_fallback_off Redis serves again after ${seconds(downMs)}`),
      ),
      events.on('homeChanged', ({ home, reason }) =>
        logger[reason === undefined ? 'log' : 'warn'](
          `cache_home_changed reads and messages come from ${home}${reason === undefined ? '' : `: the replica was left (${reason})`}`,
        ),
      ),
      events.on('invalidationOff', () =>
        logger.warn('cache_invalidation_off changes of other processes may be missed: L1 does not answer'),
      ),
      events.on('invalidationOn', () => logger.log('cache_invalidation_on L1 is trusted')),
      events.on('tierError', (event) => this.logFault(event)),
      events.on('valueRefused', (event) => this.logRefused(event)),
      events.on('refreshFailed', ({ namespace, key, caller, state, error }) =>
        this.logRepeated(
          `cache_refresh_failed ${namespace}`,
          `${describeKey(key, caller)}: ${describeFailure(error)}; the ${state} value is returned`,
        ),
      ),
      events.on('overload', ({ namespace, operation }) =>
        this.logRepeated(`cache_overload ${namespace}`, `${operation}: the queue to Redis is full`),
      ),
      events.on('journalFull', ({ namespace }) =>
        logger.warn(`cache_journal_full ${namespace} too many changes wait for Redis: the namespace will be cleared`),
      ),
      events.on('schemaMismatch', ({ namespace, key, caller, during, cause }) =>
        this.logRepeated(
          `cache_schema_mismatch ${namespace}`,
          `${describeKey(key, caller)}: ${cause} at ${during}${cause === 'class' ? CLASS_LOST : ''}`,
        ),
      ),
      events.on('classUnknown', ({ namespace, className }) =>
        logger.log(
          `cache_class_unknown ${namespace} entries with an instance of ${className || 'a class'} are misses until this process has stored one of the same version of the class (@CachedClass() above the class makes it known from the start)`,
        ),
      ),
      events.on('dimensionMissing', ({ namespace, caller, dimensions }) =>
        logger.warn(
          `cache_dimension_missing ${namespace} ${caller} is not cached: the request has no ${dimensions.join()}. Set it with CacheContextInterceptor, CacheContext.run() or the option \`context\``,
        ),
      ),
      events.on('decoratedCallUncached', ({ namespace, caller, effect, reason }) =>
        logger.warn(`cache_call_uncached ${namespace} ${caller} runs, ${effect}: ${reason}`),
      ),
      events.on('warmedUp', ({ outcome, durationMs, kept, missing, loaded }) =>
        logger.log(
          `cache_warmed_up ${kept} hot entries read into L1, ${missing} not in Redis, ${loaded} loaded, in ${seconds(durationMs)} (${outcome})`,
        ),
      ),
      events.on('relayGap', ({ region, namespaces }) =>
        logger.warn(`cache_relay_gap ${region} changes may have been lost: ${namespaces} namespaces were cleared`),
      ),
      events.on('relayFailed', ({ link, during, error }) =>
        logger.warn(
          `cache_relay_failed ${link} ${during}: ${error instanceof CacheError ? error.message : error.name}`,
        ),
      ),
      events.on('relayRestored', ({ link, during }) => logger.log(`cache_relay_restored ${link} ${during}`)),
      events.on('healthChecked', ({ health }) => {
        const line = `cache_health ${JSON.stringify(health)}`;
        if (health.status === 'up') {
          logger.debug(line);
        } else {
          logger.warn(line);
        }
      }),
    ];
  }

  private listenToLookups(events: CacheEvents): (() => void)[] {
    const { logger } = this;
    return [
      events.on('hit', ({ namespace, key, caller, tier, state, ttlMs }) =>
        logger.debug(
          `cache_hit ${namespace} ${describeKey(key, caller)} tier=${tier} state=${state} ttl=${seconds(ttlMs)}`,
        ),
      ),
      events.on('miss', ({ namespace, key, caller, collapsed }) =>
        logger.debug(`cache_miss ${namespace} ${describeKey(key, caller)}${collapsed ? ' collapsed' : ''}`),
      ),
      events.on('set', ({ namespace, key, caller, ttlMs, redis }) =>
        logger.debug(
          `cache_set ${namespace} ${describeKey(key, caller)} ttl=${seconds(ttlMs)}${redis ? '' : ' local only'}`,
        ),
      ),
      events.on('delete', ({ namespace, key, caller, existed }) =>
        logger.debug(`cache_delete ${namespace} ${describeKey(key, caller)}${existed ? '' : ' absent'}`),
      ),
      events.on('expire', ({ namespace, key, caller, existed }) =>
        logger.debug(`cache_expire ${namespace} ${describeKey(key, caller)}${existed ? '' : ' absent'}`),
      ),
      events.on('invalidateTags', ({ namespace, tags }) =>
        logger.debug(`cache_invalidate_tags ${namespace} ${tags.map((tag) => describeKey(tag)).join(' ')}`),
      ),
      events.on('clear', ({ namespace }) => logger.debug(`cache_clear ${namespace}`)),
    ];
  }

  /** A class that can't be cached is a mistake in the code: it is logged once in each namespace. */
  private logRefused({ namespace, key, caller, reason, className }: CacheEventMap['valueRefused']): void {
    const line = `${describeKey(key, caller)}: ${reason}`;
    if (className === undefined) {
      this.logRepeated(`cache_value_refused ${namespace}`, line, caller);
    } else if (!this.refusedClasses.has(`${namespace} ${className}`)) {
      this.refusedClasses.add(`${namespace} ${className}`);
      this.logger.warn(`cache_value_refused ${namespace} ${line}`);
    }
  }

  private logFault({ namespace, tier, operation, error }: CacheEventMap['tierError']): void {
    const name = tier === 'local' ? 'local_cache_error' : ERROR_EVENT_NAMES[operation];
    // Only this library's own messages are known to hold no value, key or password.
    this.logRepeated(`${name} ${namespace}`, error instanceof CacheError ? error.message : error.name);
  }

  /** @param caller the decorated method, if the fault is one of its own: another method has another fault */
  private logRepeated(what: string, detail: string, caller = ''): void {
    const nowMs = performance.now();
    const name = `${what} ${caller}`;
    const fault = this.faults.get(name);
    if (fault !== undefined && nowMs - fault.lastAtMs < REPEAT_AFTER_MS) {
      fault.unlogged++;
      return;
    }
    const unlogged = fault?.unlogged ?? 0;
    this.faults.set(name, { lastAtMs: nowMs, unlogged: 0 });
    this.logger.warn(`${what} ${detail}${unlogged > 0 ? ` (and ${unlogged} more since the last such line)` : ''}`);
  }
}

/** The error of a loader: the application's own text, which no other log would show. */
function describeFailure(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : `threw ${typeof error}`;
}

/** Two applications with one prefix on one Redis would share the entries of methods with equal names. */
function prefixHint({ enabled, keyPrefix, redisAddress }: CacheConfig): string {
  return enabled && redisAddress !== undefined && keyPrefix === DEFAULTS.keyPrefix
    ? `, key prefix "${keyPrefix}" (the default: set CACHE_KEY_PREFIX if another application uses this Redis)`
    : '';
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)}s`;
}
