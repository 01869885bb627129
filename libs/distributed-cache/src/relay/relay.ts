import { type Duration, toMs } from '../config/index.js';
import type { DistributedCache } from '../core/index.js';
import type { RedisRuntime } from '../core/runtime.js';
import type { Outbox, RunningRelay } from '../redis/index.js';
import { Publisher } from './publisher.js';
import { Receiver } from './receiver.js';
import { pause, type RelayBatch, type RelayLink, type RelaySite, type RelayTransport } from './transport.js';

/** The options of {@link startRelay}. */
export interface RelayOptions {
  /**
   * How long the fills of a key are refused after its invalidation has arrived from another region: for a source that
   * replicates to this region more slowly than the message. Tags and namespaces are invalidated once more at its end.
   * Default 0.
   */
  readonly holdOff?: Duration;
}

/** How long the lease of a process that died lasts, in milliseconds. */
const LEASE_MS = 1500;
const RENEW_MS = 500;
const RETRY_MS = 100;
/** A region that publishes nothing for so long does not work, or can't be reached. */
const SILENT_MS = 10_000;

type Direction = 'publish' | 'receive';

/**
 * Starts the relay of invalidations to and from other regions. Call it in every process: one of them, by a lease in
 * Redis, reads the outbox and receives for all; another takes over within 1.5 seconds when it dies. The relay ends with
 * the cache. For a cache that is switched off, or has no Redis, it does nothing.
 * @param links by name: for `redisStreams` the name of the other region
 * @throws TypeError if the cache has no `region`, or a relay already
 */
export function startRelay(
  cache: DistributedCache,
  links: Readonly<Record<string, RelayLink>>,
  { holdOff = 0 }: RelayOptions = {},
): Relay {
  const { redis, config } = cache;
  if (config.region === undefined) {
    throw new TypeError("startRelay: the cache has no region. Give it the option region: 'eu', or set CACHE_REGION");
  }
  if (redis?.outbox === undefined) {
    return { leads: false, close: async () => {} };
  }
  if (redis.outbox.relay !== undefined) {
    throw new TypeError('startRelay: the cache has a relay already. Call it once, with all links');
  }
  return new RegionRelay(cache, redis, redis.outbox, links, toMs(holdOff));
}

/** The relay of one process: see {@link startRelay}. */
export interface Relay {
  /** Whether this process publishes and receives for its region. */
  readonly leads: boolean;
  /** Ends the relay of this process, and lets another one lead. A second call does nothing more. */
  close(): Promise<void>;
}

class RegionRelay implements Relay, RunningRelay {
  private readonly closing = new AbortController();
  private readonly token: string;
  private readonly running: Promise<void>;
  private leadership: Leadership | undefined;

  constructor(
    private readonly cache: DistributedCache,
    private readonly redis: RedisRuntime,
    private readonly outbox: Outbox,
    private readonly links: Readonly<Record<string, RelayLink>>,
    private readonly holdOffMs: number,
  ) {
    this.token = redis.topics.processId;
    outbox.relay = this;
    this.running = this.run();
  }

  get leads(): boolean {
    return this.leadership !== undefined;
  }

  get state(): RunningRelay['state'] {
    return { leads: this.leads, problems: this.leadership?.problems() ?? [] };
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.running;
    this.outbox.relay = undefined;
  }

  private async run(): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      // A Redis that can't be asked leaves things as they are: a second leader does no harm.
      const isOurs = await this.acquire().catch(() => this.leads);
      if (isOurs && !this.leads) {
        this.leadership = new Leadership(this.cache, this.redis, this.links, this.holdOffMs);
      } else if (!isOurs) {
        await this.step();
      }
      await this.leadership?.receiver.applyDue().catch(() => {});
      await pause(RENEW_MS, signal);
    }
    const hadLed = this.leads;
    await this.step();
    await (hadLed ? this.release().catch(() => {}) : undefined);
  }

  private async step(): Promise<void> {
    const { leadership } = this;
    this.leadership = undefined;
    await leadership?.end();
  }

  private get leaseKey(): string {
    return `${this.cache.config.keyPrefix}:{#relay}:leader`;
  }

  /** Takes or renews the lease. The two steps may leave two leaders for a moment: what both do is done twice, no more. */
  private acquire(): Promise<boolean> {
    const { leaseKey, token } = this;
    return this.redis.connection.run(
      'RELAY',
      async (client) => {
        if ((await client.set(leaseKey, token, 'PX', LEASE_MS, 'NX')) === 'OK') {
          return true;
        }
        return (await client.get(leaseKey)) === token && (await client.pexpire(leaseKey, LEASE_MS)) === 1;
      },
      leaseKey,
    );
  }

  private release(): Promise<unknown> {
    const { leaseKey, token } = this;
    return this.redis.connection.run(
      'RELAY',
      async (client) => ((await client.get(leaseKey)) === token ? client.del(leaseKey) : 0),
      leaseKey,
    );
  }
}

/** What the leading process does, from the moment that it leads. */
class Leadership {
  readonly receiver: Receiver;
  private readonly ending = new AbortController();
  private readonly work: Promise<void>[] = [];
  private readonly transports: RelayTransport[] = [];
  /** What does not work at the moment: `us publish`, and its error. */
  private readonly failures = new Map<string, string>();
  private readonly heardAtMs = new Map<string, number>();

  constructor(
    private readonly cache: DistributedCache,
    redis: RedisRuntime,
    links: Readonly<Record<string, RelayLink>>,
    holdOffMs: number,
  ) {
    const { keyPrefix, region = '' } = cache.config;
    const { signal } = this.ending;
    this.receiver = new Receiver({ redis, keyPrefix, region }, cache.events, holdOffMs);
    for (const [link, makeTransport] of Object.entries(links)) {
      const site = { region, link, keyPrefix, signal, redis };
      try {
        this.begin(site, makeTransport(site));
      } catch (error) {
        this.fail(link, 'publish', error);
      }
    }
  }

  /** In words for an operator. */
  problems(): string[] {
    const nowMs = performance.now();
    const silent = [...this.heardAtMs].filter(([, atMs]) => nowMs - atMs > SILENT_MS);
    return [
      ...Array.from(this.failures, ([what, error]) => `relay: ${what} fails (${error})`),
      ...silent.map(([link, atMs]) => `relay: nothing heard from ${link} for ${Math.round((nowMs - atMs) / 1000)} s`),
    ];
  }

  async end(): Promise<void> {
    this.ending.abort();
    await Promise.all(this.transports.map((transport) => transport.close().catch(() => {})));
    await Promise.all(this.work);
  }

  private begin(site: RelaySite, transport: RelayTransport): void {
    const { link } = site;
    const publisher = new Publisher(site, transport, (changes) => {
      this.succeed(link, 'publish');
      if (changes > 0) {
        this.cache.events.emit('relaySent', { link, changes });
      }
    });
    this.transports.push(transport);
    this.heardAtMs.set(link, performance.now());
    this.work.push(
      this.repeat(link, 'publish', () => publisher.run()),
      this.repeat(link, 'receive', () => transport.subscribe((batch) => this.receive(site, batch))),
    );
  }

  /** Does something until the end, again and again when it fails. */
  private async repeat(link: string, during: Direction, run: () => Promise<void>): Promise<void> {
    const { signal } = this.ending;
    while (!signal.aborted) {
      try {
        await run();
      } catch (error) {
        this.fail(link, during, error);
      }
      await pause(RETRY_MS, signal);
    }
  }

  /** Applies a batch, as soon as this region's Redis can be used. */
  private async receive({ link, region }: RelaySite, batch: RelayBatch): Promise<void> {
    const { signal } = this.ending;
    if (batch.region === region) {
      return;
    }
    this.heardAtMs.set(link, performance.now());
    while (!signal.aborted) {
      try {
        await this.receiver.apply(batch);
        this.succeed(link, 'receive');
        return;
      } catch (error) {
        this.fail(link, 'receive', error);
        await pause(RETRY_MS, signal);
      }
    }
    throw new Error('the relay is closed');
  }

  private fail(link: string, during: Direction, given: unknown): void {
    const error = given instanceof Error ? given : new Error(String(given));
    const what = `${link} ${during}`;
    if (!this.ending.signal.aborted && !this.failures.has(what)) {
      this.failures.set(what, error.name);
      this.cache.events.emit('relayFailed', { link, during, error });
    }
  }

  private succeed(link: string, during: Direction): void {
    if (this.failures.delete(`${link} ${during}`)) {
      this.cache.events.emit('relayRestored', { link, during });
    }
  }
}
