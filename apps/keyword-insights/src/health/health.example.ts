const cache = {
  redis_connected: true,
  local_cache_available: true,
  overall_healthy: true,
  connection: 'live',
  invalidation: 'live',
  journal_length: 0,
  seconds_since_answer: 0.4,
  warming: false,
  metrics: { hits: 41, misses: 9, hit_rate_percent: 82 },
  status: 'up',
};

/** An answer of `/health`, for the API page. */
export const HEALTHY = { status: 'ok', info: { cache }, error: {}, details: { cache } };
