/** A read of a key that loads and stores the value on a miss. */
export interface Request {
  readonly key: string;
  /** The size of key, value and bookkeeping; the same for each request of a key. */
  readonly bytes: number;
  readonly ttlMs: number;
  readonly atMs: number;
}

/** A cache of bounded size that decides which entries it evicts. */
export interface EvictionPolicy {
  readonly usedBytes: number;
  /** Looks the key up, and stores it if it is missing or expired. @returns whether it was a hit */
  request(request: Request): boolean;
}
