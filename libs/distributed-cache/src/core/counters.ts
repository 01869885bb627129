import type { CacheCounts } from '../events/index.js';

/** The counters of one namespace. They are plain fields, so a hit costs one increment. */
export class Counters implements CacheCounts {
  misses = 0;
  sets = 0;
  deletes = 0;
  errors = 0;
  localHits = 0;
  redisHits = 0;
  staleServed = 0;
  loads = 0;
  loadErrors = 0;
  waits = 0;
  leasesLost = 0;
  overloads = 0;
  tagsForgotten = 0;
  schemaMismatches = 0;

  get hits(): number {
    return this.localHits + this.redisHits;
  }
}
