import type { CacheEvents } from '../events/index.js';
import { PreparedKey, type CacheKey } from '../keys/index.js';
import { readStored } from '../local/index.js';
import type { EntryLoader, LoadOutcome } from './entry-loader.js';
import { hasOwnKey, type EntryOptions } from './entry-options.js';
import type { LocalView } from './local-view.js';
import type { LookupRecorder } from './lookup-recorder.js';

interface Observation {
  readonly isObserved: boolean;
}

/** How the callers of one namespace get what a flight has found. */
export class Landing<T> {
  private readonly hits: Observation;
  private readonly misses: Observation;

  constructor(
    private readonly local: LocalView,
    private readonly loads: EntryLoader,
    private readonly recorder: LookupRecorder,
    events: CacheEvents,
  ) {
    this.hits = events.observation('hit');
    this.misses = events.observation('miss');
  }

  /** @param collapsed whether the flight was under way already */
  async land(key: CacheKey, flight: Promise<LoadOutcome>, collapsed: boolean): Promise<T> {
    const outcome = await flight;
    if (outcome.source === 'tier') {
      this.recorder.hit(key, outcome.tier, outcome.state, outcome.ttlMs);
    } else {
      this.recorder.miss(key, { stale: outcome.hadStale, collapsed, stored: outcome.kept });
    }
    return readStored(outcome.stored) as T;
  }

  /**
   * The way of a thousand callers of one missing key, all but the first: who has not found it at a glance joins the load that is under
   * way, without a closer look, and with nothing of its own but the promise. `undefined`: it takes that look.
   */
  join(key: CacheKey, options: EntryOptions<T> | undefined): Promise<T> | undefined {
    if (this.hits.isObserved || this.misses.isObserved || !this.local.hearsAll()) {
      return undefined; // somebody is told which key it was; or memory may answer that would not have before
    }
    if (typeof key !== 'string') {
      return key instanceof PreparedKey ? this.loads.joinable(key.encoded)?.then(this.landJoined) : undefined;
    }
    return options !== undefined && hasOwnKey(options) ? undefined : this.loads.joinable(key)?.then(this.landJoined);
  }

  private readonly landJoined = (outcome: LoadOutcome): T => {
    if (outcome.source === 'tier') {
      this.recorder.countHit(outcome.tier, outcome.state);
    } else {
      this.recorder.countMiss();
    }
    return readStored(outcome.stored) as T;
  };
}
