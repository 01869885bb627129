import { CHECKS, examine } from '../cli/doctor/doctor.js';
import { collectFacts } from '../cli/doctor/facts.js';
import { connectObserver } from '../cli/session.js';
import { type CacheConfig, DistributedCache } from '../core/index.js';
import { within } from './gather.js';
import type { CheckedFact } from './reports.js';

/** How many keys of Redis are looked at. */
const SAMPLE_SIZE = 500;
/** How long a page waits for the checks, in milliseconds. */
const LONGEST_WAIT_MS = 4000;
/** How long the results are shared, in milliseconds: many viewers can't make Redis busy. */
const SHARED_MS = 5000;

/**
 * The checks of the command `doctor`, over connections of their own, as there: they find a Redis that can't be reached
 * although this process is still connected, and nothing that they try counts for the application.
 */
export class Checks {
  private running: { readonly atMs: number; readonly results: Promise<readonly CheckedFact[]> } | undefined;

  constructor(private readonly config: CacheConfig) {}

  /** The results, within four seconds. Never rejects. */
  results(): Promise<readonly CheckedFact[]> {
    const nowMs = performance.now();
    if (this.running === undefined || nowMs - this.running.atMs > SHARED_MS) {
      this.running = { atMs: nowMs, results: this.inTime() };
    }
    return this.running.results;
  }

  private async inTime(): Promise<readonly CheckedFact[]> {
    const { config } = this;
    return config.redisPlace === undefined || !config.enabled
      ? [reachable('unknown', 'no Redis is configured')]
      : within(this.examine(), [reachable('fail', `no answer in ${LONGEST_WAIT_MS} ms`, ADVICE)], LONGEST_WAIT_MS);
  }

  private async examine(): Promise<readonly CheckedFact[]> {
    const cache = new DistributedCache(this.config, { observer: true });
    try {
      await connectObserver(cache);
      const { connection } = cache.redis ?? {};
      if (connection?.isLive !== true) {
        const reason = connection?.reason ?? 'not connected';
        return [reachable('fail', `${this.config.redisPlace ?? 'Redis'} can't be used: ${reason}`, ADVICE)];
      }
      const facts = await collectFacts(cache, {
        sampleSize: SAMPLE_SIZE,
        isStrict: false,
        env: process.env,
        folder: process.cwd(),
        now: Date.now,
        onProgress: () => {},
      });
      return examine(facts);
    } catch (error) {
      return [reachable('fail', error instanceof Error ? error.name : 'an error', ADVICE)];
    } finally {
      await cache.close();
    }
  }
}

const ADVICE = 'Look at the server, and at the address, the user and the password in the configuration.';

function reachable(status: CheckedFact['status'], found: string, advice?: string): CheckedFact {
  const [{ id, about } = { id: 'redis-reachable', about: 'Redis answers' }] = CHECKS;
  return { id, about, status, found, ...(advice !== undefined && { advice }) };
}
