import { CHANGE_FIELD, type RedisClient } from '../redis/index.js';
import { type RelayBatch, type RelaySite, type RelayTransport } from './transport.js';

/** Number of lines of the outbox that are read at once. */
const LINES_PER_READ = 100;
/** Most text in one batch, in bytes, before its last line, which has less than 52 KB. SNS takes 256 KB, NATS 1 MB. */
const MOST_BYTES = 100_000;
/** Number of batches that are under way at once: over a long link each takes a while. */
const WINDOW = 32;
/** How often the outbox is read although no message says that it has changed, and where the server sends none. */
const POLL_MS = 200;
/** After this time without a change an empty batch is published: the other regions see that the relay works. */
const BEAT_MS = 1000;
/** How often the position is saved at most; after the death of this process what came since is published again. */
const SAVE_MS = 100;

type Line = readonly [id: string, fields: string[]];

/**
 * Reads the outbox of this region and publishes it on one link, from the position that the last leader has saved in
 * Redis. The line at the position must still be in the outbox. If it is not, lines have been lost: they were trimmed, or
 * Redis was emptied, or a failover has undone them. That holds also when the position itself is gone. Then a batch without
 * `after` says so.
 *
 * A consumer group of Redis would keep the position too, but says nothing of lines that were trimmed before they were read.
 */
export class Publisher {
  /** The position up to which everything is published, and acknowledged. */
  private acknowledged: string | undefined;
  private failure: unknown;
  private saved: string | undefined;
  private savedAtMs = -Infinity;

  constructor(
    private readonly site: RelaySite,
    private readonly transport: RelayTransport,
    private readonly onSent: (changes: number) => void,
  ) {}

  /** Publishes until the relay is closed. @throws what prevents it; then to be called again */
  async run(): Promise<void> {
    const { signal, redis } = this.site;
    this.failure = undefined;
    this.acknowledged ??= await this.savedPosition();
    let position = this.acknowledged;
    let tail: Promise<unknown> = Promise.resolve();
    let publishedAtMs = -Infinity;
    const underWay: Promise<void>[] = [];
    const wakeUp = new WakeUp(this.site);
    const send = (batch: RelayBatch): void => {
      position = batch.last;
      publishedAtMs = performance.now();
      const publishing = this.transport.publish(batch);
      underWay.push(publishing);
      // In order, so that a batch that fails is not passed over.
      tail = Promise.all([tail, publishing]).then(() => {
        this.acknowledged = batch.last;
        this.onSent(batch.changes.length);
      });
      tail.catch((error: unknown) => {
        this.failure ??= error;
        wakeUp.call();
      });
    };
    try {
      while (!signal.aborted && this.failure === undefined) {
        const batch = await this.read(position);
        if (batch !== undefined) {
          send(batch);
          while (underWay.length >= WINDOW) {
            await underWay.shift();
          }
        } else if (
          position !== undefined &&
          position === this.acknowledged &&
          performance.now() - publishedAtMs >= BEAT_MS
        ) {
          const atMs = redis.connection.serverNowMs(this.key);
          send({ region: this.site.region, after: position, last: position, atMs, changes: [] });
        }
        await this.save();
        if (batch === undefined) {
          await wakeUp.wait(POLL_MS);
        }
      }
    } finally {
      wakeUp.end();
    }
    if (this.failure !== undefined) {
      throw this.failure;
    }
    await tail;
    this.savedAtMs = -Infinity;
    await this.save();
  }

  private get key(): string {
    return `${this.site.keyPrefix}:{#relay}`;
  }

  private get positionsKey(): string {
    return `${this.key}:sent`;
  }

  private async savedPosition(): Promise<string | undefined> {
    const { redis, link } = this.site;
    const found = await redis.connection.run('RELAY', (client) => client.hget(this.positionsKey, link), this.key);
    this.saved = found ?? undefined;
    return this.saved;
  }

  private async save(): Promise<void> {
    const { acknowledged, site } = this;
    const nowMs = performance.now();
    if (acknowledged !== undefined && acknowledged !== this.saved && nowMs - this.savedAtMs >= SAVE_MS) {
      await site.redis.connection.run(
        'RELAY',
        (client) => client.hset(this.positionsKey, site.link, acknowledged),
        this.key,
      );
      this.saved = acknowledged;
      this.savedAtMs = nowMs;
    }
  }

  /** The next batch; `undefined` when there is nothing new. */
  private read(position: string | undefined): Promise<RelayBatch | undefined> {
    const { connection } = this.site.redis;
    return connection.run(
      'RELAY',
      async (client) => {
        if (position !== undefined) {
          // Read first: if the line at the position is still there after that, no line after it was missing before.
          const [streams, found] = await Promise.all([
            client.xread('COUNT', LINES_PER_READ, 'STREAMS', this.key, position),
            client.xrange(this.key, position, position),
          ]);
          // remedy: position-must-be-there
          if (found.length > 0) {
            return this.batchOf(streams?.[0]?.[1] ?? [], position);
          }
        }
        const last = await this.lastLine(client);
        return { region: this.site.region, last, atMs: Number.parseInt(last, 10), changes: [] };
      },
      this.key,
    );
  }

  private batchOf(lines: readonly Line[], after: string): RelayBatch | undefined {
    const changes: string[] = [];
    let bytes = 0;
    let last: string | undefined;
    for (const [id, fields] of lines) {
      if (bytes > MOST_BYTES) {
        break;
      }
      for (let at = 0; at < fields.length; at += 2) {
        const change = fields[at + 1];
        if (fields[at] === CHANGE_FIELD && change !== undefined) {
          changes.push(change);
          bytes += Buffer.byteLength(change) + 3;
        }
      }
      last = id;
    }
    const [first] = lines;
    return first === undefined || last === undefined
      ? undefined
      : { region: this.site.region, after, last, atMs: Number.parseInt(first[0], 10), changes };
  }

  /** The position of the newest line. An empty outbox gets a line, so that there is a position to compare with. */
  private async lastLine(client: RedisClient): Promise<string> {
    const [newest] = await client.xrevrange(this.key, '+', '-', 'COUNT', 1);
    const id = newest?.[0] ?? (await client.xadd(this.key, '*', 'began', this.site.region));
    return id ?? '0-1';
  }
}

/** Waits until one of the streams of the relay may have a new line. */
export class WakeUp {
  private isCalled = false;
  private resume = (): void => {};
  private readonly stop: (() => void) | undefined;

  constructor({ redis: { outbox }, signal }: Pick<RelaySite, 'redis' | 'signal'>) {
    const call = (): void => this.call();
    const stop = outbox?.onWake(call);
    signal.addEventListener('abort', call);
    this.stop = () => {
      stop?.();
      signal.removeEventListener('abort', call);
    };
  }

  call(): void {
    this.isCalled = true;
    this.resume();
  }

  /** Waits for a call since the last wait, at most `ms`. */
  async wait(ms: number): Promise<void> {
    if (!this.isCalled) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        timer.unref();
        this.resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.isCalled = false;
  }

  end(): void {
    this.stop?.();
  }
}
