/** Every default of the configuration. The tables in the documentation and `.env.example` are made from it. */
export const DEFAULTS = Object.freeze({
  enabled: true,
  keyPrefix: 'cache',
  ttlMs: 3_600_000,
  /** The built-in namespaces; any other one has `ttlMs`. */
  namespaceTtlMs: Object.freeze({ keywords: 86_400_000, metrics: 43_200_000, trends: 21_600_000 }),
  graceMs: 0,
  /** TTL of `null` and `undefined`, or the TTL where that is shorter. */
  emptyTtlMs: 60_000,
  host: 'localhost',
  port: 6379,
  db: 0,
  tls: false,
  commandTimeoutMs: 5000,
  deadlineMs: 300,
  heartbeatMs: 1000,
  healthCheckIntervalMs: 30_000,
  requireRedis: false,
  fallbackEnabled: true,
  fallbackTtlMs: 300_000,
  maxMemoryMb: 100,
  values: 'frozen',
  maxValueBytes: 4_194_304,
  compressionThresholdBytes: 1024,
  compressionCodec: 'deflate',
  format: 'envelope',
} as const);
