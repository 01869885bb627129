import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  decodeBatch,
  encodeBatch,
  type RelayBatch,
  type RelayLink,
  type RelaySite,
  type RelayTransport,
} from './transport.js';

/** The options of {@link natsJetStream}. */
export interface NatsJetStreamOptions {
  /** The NATS servers: `nats://host:4222`, one or several. */
  readonly servers: string | string[];
  /** Further options of `connect` of `@nats-io/transport-node`: login, TLS. Default: none. */
  readonly connect?: Readonly<Record<string, unknown>>;
  /**
   * The name of the stream, which is also the beginning of its subjects; the same in all regions. It is made when there is
   * none: in files, with 100,000 messages at most. Default: the key prefix and `-relay`.
   */
  readonly stream?: string;
}

const STREAM_MESSAGES = 100_000;
const ANSWER_MS = 2000;
const NANOSECONDS_PER_MS = 1_000_000;
/** After this time without an acknowledgement a message is sent again. */
const REDELIVER_MS = 5000;
/** With short heartbeats a server that was lost is noticed soon. */
const PULL = { max_messages: 256, expires: 5000, idle_heartbeat: 1000 };

/**
 * One link to all other regions by NATS JetStream: each region publishes to `<stream>.<region>` and has a durable consumer
 * of its own. Needs the packages `@nats-io/transport-node` and `@nats-io/jetstream`.
 */
export function natsJetStream(options: NatsJetStreamOptions): RelayLink {
  return (site) => new NatsJetStream(site, options);
}

interface Opened {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
}

class NatsJetStream implements RelayTransport {
  private readonly stream: string;
  private opened: Promise<Opened> | undefined;

  constructor(
    private readonly site: RelaySite,
    private readonly options: NatsJetStreamOptions,
  ) {
    this.stream = options.stream ?? `${site.keyPrefix.replaceAll('.', '_')}-relay`; // a dot would be part of no name
  }

  async publish(batch: RelayBatch): Promise<void> {
    const { client, manager } = await this.open();
    try {
      await client.publish(this.subjectOf(batch.region), encodeBatch(batch), { timeout: ANSWER_MS });
    } catch (error) {
      if (!(error instanceof Error && error.name === 'TimeoutError')) {
        await this.makeStream(manager).catch(() => {}); // the server answers, but may have lost it
      }
      throw error;
    }
  }

  async subscribe(onBatch: (batch: RelayBatch) => Promise<void>): Promise<void> {
    const { client, manager } = await this.open();
    const { region, signal } = this.site;
    const name = nameOf(region);
    await this.makeStream(manager);
    await manager.consumers.add(this.stream, {
      durable_name: name,
      ack_policy: 'explicit',
      deliver_policy: 'all',
      ack_wait: REDELIVER_MS * NANOSECONDS_PER_MS,
    });
    const consumer = await client.consumers.get(this.stream, name);
    const messages = await consumer.consume({ ...PULL, abort_on_missing_resource: true });
    const end = (): void => messages.stop();
    signal.addEventListener('abort', end);
    try {
      for await (const message of messages) {
        const batch = message.subject === this.subjectOf(region) ? undefined : decodeBatch(message.string());
        if (batch !== undefined) {
          await onBatch(batch);
        }
        message.ack();
      }
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async close(): Promise<void> {
    const { connection } = (await this.opened?.catch(() => undefined)) ?? {};
    await connection?.close();
  }

  private subjectOf(region: string): string {
    return `${this.stream}.${nameOf(region)}`;
  }

  /** Connects, once. An attempt that fails is repeated by the next call. */
  private open(): Promise<Opened> {
    this.opened ??= this.connect().catch((error: unknown) => {
      this.opened = undefined;
      throw error;
    });
    return this.opened;
  }

  private async connect(): Promise<Opened> {
    const [{ connect }, { jetstream, jetstreamManager }] = await Promise.all([
      import('@nats-io/transport-node'),
      import('@nats-io/jetstream'),
    ]);
    const { servers, connect: further } = this.options;
    const connection = await connect({ maxReconnectAttempts: -1, reconnectTimeWait: 250, ...further, servers });
    try {
      const manager = await jetstreamManager(connection);
      await this.makeStream(manager);
      return { connection, client: jetstream(connection), manager };
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  private async makeStream(manager: JetStreamManager): Promise<void> {
    try {
      await manager.streams.info(this.stream);
    } catch {
      await manager.streams.add({ name: this.stream, subjects: [`${this.stream}.*`], max_msgs: STREAM_MESSAGES });
    }
  }
}

/** Names of NATS have no dots. */
function nameOf(region: string): string {
  return region.replaceAll('.', '_');
}
