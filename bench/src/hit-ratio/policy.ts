/** One look-up as a service does it: read, and on a miss make the value and keep it. */
export interface Request {
  readonly key: string;
  /** Of key, value and bookkeeping. The same for every request of a key. */
  readonly bytes: number;
  readonly ttlMs: number;
  readonly atMs: number;
}

/** Which entries stay when there is not enough room for all. */
export interface EvictionPolicy {
  readonly usedBytes: number;
  /** Looks the key up and keeps it if it was missing or too old. @returns whether it was a hit */
  request(request: Request): boolean;
}
