/** Series of `promtool test rules`, a value per minute, that make an alert fire, and that leave it silent. */
export interface AlertCase {
  readonly labels: string;
  readonly firing: Readonly<Record<string, string>>;
  readonly silent: Readonly<Record<string, string>>;
}

const PROCESS = 'job="shop", instance="a"';
const NAMESPACE = 'job="shop", namespace="users"';
const ONE = `{${PROCESS}}`;
const all = (labels: string, more = '') => `{${labels}, instance="a"${more}}`;

/** Two days of minutes: the first one as it was yesterday, then half an hour of another rate. */
const later = (before: string, after: string) => `${before}x1500 ${after}x60`;

/** The evaluation is at this minute, behind the half hour. */
export const AT_MINUTES = 1555;

const downFor = (state: string) => ({ [`cache_redis_nodes{${PROCESS}, state="down"}`]: state });

export const ALERT_CASES: Readonly<Record<string, AlertCase>> = {
  CacheRedisUnavailable: { labels: PROCESS, firing: downFor('0x1500 1x60'), silent: downFor('0x1560') },
  CacheRedisRefuses: {
    labels: PROCESS,
    firing: { [`cache_redis_refused_commands${ONE}`]: '0x1500 1x60' },
    silent: { [`cache_redis_refused_commands${ONE}`]: '1x1500 0x60' },
  },
  CacheInvalidationLost: {
    labels: PROCESS,
    firing: { ...downFor('0x1560'), [`cache_invalidation_live${ONE}`]: '1x1500 0x60' },
    // Without Redis nothing is heard: the other alert tells it.
    silent: { ...downFor('0x1500 1x60'), [`cache_invalidation_live${ONE}`]: '1x1500 0x60' },
  },
  CacheJournalGrowing: {
    labels: PROCESS,
    firing: { [`cache_journal_entries${ONE}`]: `0x1500 1+5x60` },
    silent: { [`cache_journal_entries${ONE}`]: '0x1500 300-5x60' },
  },
  CacheJournalOverflowed: {
    labels: PROCESS,
    firing: { [`cache_journal_overflows_total${ONE}`]: '0x1550 1x10' },
    silent: { [`cache_journal_overflows_total${ONE}`]: '3x1560' },
  },
  CacheDiverged: {
    labels: NAMESPACE,
    firing: { [`cache_consistency_checks_total${all(NAMESPACE, ', result="diverged"')}`]: '0x1550 1x10' },
    silent: {
      [`cache_consistency_checks_total${all(NAMESPACE, ', result="diverged"')}`]: '1x1560',
      [`cache_consistency_checks_total${all(NAMESPACE, ', result="equal"')}`]: '0+60x1560',
    },
  },
  CacheHitRatioDropped: {
    labels: NAMESPACE,
    firing: lookups(later('0+540', '810000+120'), later('0+60', '90000+480')),
    silent: lookups(later('0+540', '810000+400'), later('0+60', '90000+200')),
  },
  CacheLoadErrors: {
    labels: NAMESPACE,
    firing: loads(later('0+0', '0+10')),
    silent: loads(later('0+0', '0+4')),
  },
  CacheLoaderSlow: {
    labels: NAMESPACE,
    firing: { ...loads('0x1560'), ...durations(later('0+100', '150000+0')) },
    silent: { ...loads('0x1560'), ...durations('0+100x1560') },
  },
  CacheStaleServed: {
    labels: NAMESPACE,
    firing: { [`cache_stale_served_total${all(NAMESPACE)}`]: later('0+0', '0+3') },
    silent: { [`cache_stale_served_total${all(NAMESPACE)}`]: '7x1560' },
  },
  CacheEvictingFresh: { labels: NAMESPACE, firing: evictions('0+80x1560'), silent: evictions('0+40x1560') },
  CacheSchemaMismatch: {
    labels: NAMESPACE,
    firing: { [`cache_schema_mismatches_total${all(NAMESPACE)}`]: '0x1550 4x10' },
    silent: { [`cache_schema_mismatches_total${all(NAMESPACE)}`]: '4x1560' },
  },
};

function lookups(hits: string, misses: string): Record<string, string> {
  return {
    [`cache_hits_total${all(NAMESPACE, ', tier="local"')}`]: hits,
    [`cache_misses_total${all(NAMESPACE)}`]: misses,
  };
}

function loads(errors: string): Record<string, string> {
  return {
    [`cache_loads_total${all(NAMESPACE)}`]: '0+100x1560',
    [`cache_load_errors_total${all(NAMESPACE)}`]: errors,
  };
}

/** Loads of up to 10 ms, out of 100 a minute of up to 1 s. */
function durations(fast: string): Record<string, string> {
  const bucket = (le: string) => `cache_load_duration_seconds_bucket${all(NAMESPACE, `, outcome="ok", le="${le}"`)}`;
  return { [bucket('0.01')]: fast, [bucket('1')]: '0+100x1560', [bucket('+Inf')]: '0+100x1560' };
}

function evictions(evicted: string): Record<string, string> {
  return {
    [`cache_evictions_total${all(NAMESPACE, ', reason="capacity"')}`]: evicted,
    [`cache_sets_total${all(NAMESPACE)}`]: '0+60x1560',
    [`cache_hits_total${all(NAMESPACE, ', tier="redis"')}`]: '0+40x1560',
  };
}
