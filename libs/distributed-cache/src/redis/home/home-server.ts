import type { Redis } from 'ioredis';
import { BatchedReads } from '../batches.js';
import type { RedisTarget } from '../client-link.js';
import type { ConnectionSettings } from '../client-options.js';
import { isCluster } from '../redis-client.js';
import { RedisConnection } from '../redis-connection.js';
import type { RedisConnectionLimits } from '../server-node.js';
import type { OperationObserver } from '../topology.js';
import { fieldsOf, positionOfReplica, type Position } from './home-progress.js';

/** The address of a replica. */
export interface ReplicaAddress {
  readonly host: string;
  readonly port: number;
}

export interface HomeServerListener {
  /** The replica can be used, or can't be used. */
  onLive(): void;
  onDown(reason: string): void;
  readonly operations?: OperationObserver;
}

/** A read at the home may take this share of the deadline; the rest is for the read at the primary in its place. */
const SHARE_OF_DEADLINE = 0.5;
const ROUND_TRIPS_MEASURED = 5;

/**
 * The connection to one replica, with a circuit breaker, a heartbeat and deadlines of its own. Commands that write are
 * never sent on it.
 */
export class HomeServer {
  readonly name: string;
  readonly reads: BatchedReads;
  private readonly connection: RedisConnection;
  private current: Redis | undefined;

  constructor(
    readonly address: ReplicaAddress,
    primary: ConnectionSettings,
    limits: RedisConnectionLimits,
    listener: HomeServerListener,
  ) {
    this.name = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    this.connection = new RedisConnection(
      targetOf(address, primary),
      { ...limits, deadlineMs: limits.deadlineMs * SHARE_OF_DEADLINE },
      {
        beforeLive: async (client) => {
          this.current = isCluster(client) ? undefined : client;
        },
        onLive: () => listener.onLive(),
        onDown: (reason) => listener.onDown(reason),
        ...(listener.operations !== undefined && { operations: listener.operations }),
      },
    );
    this.reads = new BatchedReads(this.connection);
  }

  /** The connection at which changes are listened to; `undefined` before the replica has answered. */
  get source(): Redis | undefined {
    return this.current;
  }

  /** Whether the replica takes commands. */
  get isLive(): boolean {
    return this.connection.isLive;
  }

  /** Resolves when the first attempt to connect has ended, whether or not it succeeded; never rejects. */
  connect(): Promise<void> {
    return this.connection.connect();
  }

  /** The position of the replica. @throws NoReplicaError if it is none; the errors of `RedisConnection.run` */
  async position(): Promise<Position> {
    return positionOfReplica(
      await this.connection.run('CHECK INFO', (client) => (client as Redis).info('replication'), undefined, URGENT),
    );
  }

  /** The median of some round trips, in milliseconds; `undefined` when the replica does not answer. */
  async measure(): Promise<number | undefined> {
    const times: number[] = [];
    for (let trip = 0; trip < ROUND_TRIPS_MEASURED; trip++) {
      if (!(await this.connection.ping())) {
        return undefined;
      }
      times.push(this.connection.roundTripMs);
    }
    return times.toSorted((a, b) => a - b)[Math.floor(ROUND_TRIPS_MEASURED / 2)];
  }

  /** The number of clients of the replica; `undefined` when it does not say. */
  async countClients(): Promise<number | undefined> {
    try {
      const info = await this.connection.run('CHECK INFO', (client) => (client as Redis).info('clients'));
      return Number(fieldsOf(info).get('connected_clients') ?? NaN) || undefined;
    } catch {
      return undefined;
    }
  }

  close(): void {
    void this.connection.close();
  }
}

const URGENT = { isUrgent: true };

/** The options of a connection to a replica: those of the primary, with another address. */
function targetOf({ host, port }: ReplicaAddress, primary: ConnectionSettings): RedisTarget {
  const {
    sentinels: _s,
    name: _n,
    path: _p,
    sentinelUsername: _u,
    sentinelPassword: _w,
    sentinelTls: _t,
    ...rest
  } = primary;
  // A replica refuses writes always: that is no reason to reconnect.
  return {
    kind: 'single',
    connection: { ...rest, host, port, clientOptions: { ...rest.clientOptions, reconnectOnError: null } },
  };
}
