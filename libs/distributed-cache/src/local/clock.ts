/** A source of time. Pass a fake one in tests. */
export interface Clock {
  /** Milliseconds since 1970; never goes back. */
  nowMs(): number;
}

const { timeOrigin: startedAtMs } = performance;
/** Bound once: reaching it through the global costs as much as the call. */
const sinceStartMs = performance.now.bind(performance);

/** The wall clock of the process's start plus the monotonic time since: setting the machine's clock changes no TTL. */
export const systemClock: Clock = {
  nowMs: () => startedAtMs + sinceStartMs(),
};
