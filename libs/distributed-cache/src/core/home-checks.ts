import { CLEAR, type KeyLayout } from '../keys/index.js';
import type { Home, RedisTier } from '../redis/index.js';
import type { Lease } from './lease.js';
import type { RemoteWrite } from './outcomes.js';

/** A loaded value that is to be stored under its lease. */
export interface LoadedWrite {
  readonly key: string;
  readonly lease: Lease;
  readonly write: RemoteWrite;
  /** See `Flight.isDoubted`. */
  readonly isDoubted: boolean;
}

/**
 * What must be checked in one namespace of a process whose home is a replica. The messages of a replica differ from those
 * of the primary in two ways. They come later than the acknowledgement of a change, so a load may end before them. And
 * they are also about the changes of this process, which are no news.
 */
export class HomeChecks {
  constructor(
    private readonly home: Home,
    private readonly tier: RedisTier,
    private readonly layout: KeyLayout,
  ) {}

  /** Whether this process may have made the change that a message of the home is about. @param encodedKey as in it */
  mayBeOwn(encodedKey: string): boolean {
    return this.home.mayReportOwn(this.layout.valuePrefix + encodedKey);
  }

  /**
   * The keys whose loads must not be kept, although their leases may still be held. The stamps in Redis must be those
   * that the load began with. If a load is doubted, the value must be that of the moment when the lease was taken: a
   * change by a cache ends the lease, but one by another program does not. Never rejects.
   */
  async supersededOf(loads: readonly LoadedWrite[]): Promise<ReadonlySet<string>> {
    const { tier, layout } = this;
    const stamps = new Map(loads.flatMap(({ write }) => write.stamps.map(([name, stamp]) => [name, stamp] as const)));
    const names = [...stamps.keys()].filter((name) => name === CLEAR || !name.startsWith('#'));
    const keys = names.map((name) => (name === CLEAR ? layout.clearStampKey : layout.tagStampKey(name)));
    const reading = tier.readStamps(keys).catch(() => []);
    const doubted = loads.filter(({ isDoubted }) => isDoubted);
    const comparing = doubted.map(({ lease }) => tier.isStill(lease.keys.valueKey, lease.seen).catch(() => false));
    const [found, ...areStill] = await Promise.all([reading, ...comparing]);
    // remedy: stamps-are-checked-at-the-primary
    const areCurrent = names.every((name, index) => found[index] === stamps.get(name));
    const superseded = areCurrent ? doubted.filter((_load, index) => areStill[index] !== true) : loads;
    return new Set(superseded.map(({ key }) => key));
  }
}
