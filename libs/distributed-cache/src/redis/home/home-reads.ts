import type { Found, ReadCompany, Reads } from '../batches.js';
import type { RedisConnection } from '../redis-connection.js';
import type { SendCost } from '../send-queue.js';
import type { Request } from '../send.js';
import type { Home } from './home.js';

/**
 * Reads at the home, as long as it serves, and at the primary what the home may lack. A read that fails at the home is
 * repeated at the primary, within the rest of its deadline.
 *
 * Values of both servers may be kept in L1: each is at least as new as the last message about it that this process has
 * received, and each later change is announced by the home.
 */
export class HomeReads implements Reads {
  constructor(
    private readonly home: Home,
    readonly atPrimary: Reads,
    private readonly connection: RedisConnection,
  ) {}

  readonly onReadAtPrimary = (valueKeys: readonly string[]): void => this.home.onKnown(valueKeys);

  keysPerReply(most: number): number {
    return (this.home.server?.reads ?? this.atPrimary).keysPerReply(most);
  }

  get(valueKey: string, company?: ReadCompany): Promise<Buffer | null> {
    return this.read(
      valueKey,
      (reads) => reads.get(valueKey, company),
      () => this.atPrimary.get(valueKey, company),
    );
  }

  ask<Result>(operation: string, key: string, build: () => Request<Result>, cost?: SendCost): Promise<Result> {
    const ask = (reads: Reads): Promise<Result> => reads.ask(operation, key, build, cost);
    return this.read(key, ask, () => ask(this.atPrimary));
  }

  async getMany(valueKeys: readonly string[], isPiece = false): Promise<Found> {
    const { home, atPrimary } = this;
    const atHome: string[] = [];
    const elsewhere: string[] = [];
    valueKeys.forEach((key) => (home.serves(key) ? atHome : elsewhere).push(key));
    const [first] = atHome;
    const [own, others] = await Promise.all([
      first === undefined
        ? []
        : this.read(
            first,
            (reads) => reads.getMany(atHome, isPiece),
            () => atPrimary.getMany(atHome, isPiece),
          ),
      elsewhere.length === 0 ? [] : atPrimary.getMany(elsewhere, isPiece),
    ]);
    if (elsewhere.length === 0) {
      return own;
    }
    const found = new Map([
      ...atHome.map((key, index) => [key, own[index] ?? null] as const),
      ...elsewhere.map((key, index) => [key, others[index] ?? null] as const),
    ]);
    return valueKeys.map((key) => found.get(key) ?? null);
  }

  private async read<Result>(
    key: string,
    readAtHome: (reads: Reads) => Promise<Result>,
    readAtPrimary: () => Promise<Result>,
  ): Promise<Result> {
    const { home, connection } = this;
    const { server } = home;
    if (server === undefined || !home.serves(key)) {
      return readAtPrimary();
    }
    const { deadlineClock } = connection;
    const askedAtMs = deadlineClock.nowMs();
    try {
      return await readAtHome(server.reads);
    } catch {
      return deadlineClock.withinRest('GET', askedAtMs, readAtPrimary());
    }
  }
}
