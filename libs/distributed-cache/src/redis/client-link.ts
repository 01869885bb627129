import { redisStore } from 'cache-manager-ioredis-yet';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import {
  ConnectionFault,
  isForbidden,
  isOfAllSentinels,
  isTelling,
  outageReason,
  VAGUE_REASON,
} from './client-errors.js';
import {
  CHECK_KEY_END,
  clusterClientOptions,
  clusterOptionsLike,
  CONNECT_ATTEMPT_MS,
  reconnectDelayMs,
  refusedDelayMs,
  singleClientOptions,
  singleOptionsLike,
  type ConnectionSettings,
} from './client-options.js';
import { followCredentials, shareCredentials, withClusterCredentials, withCredentials } from './credentials.js';
import { withinTime } from './deadline.js';
import {
  destroySocketOf,
  endClient,
  isCluster,
  unrefClient,
  watchConnecting,
  type RedisClient,
} from './redis-client.js';

/** The Redis to use: the settings of a connection, or a client that the application already has. */
export type RedisTarget =
  | { readonly kind: 'single'; readonly connection: ConnectionSettings }
  | {
      readonly kind: 'cluster';
      readonly nodes: readonly { readonly host: string; readonly port: number }[];
      readonly connection: ConnectionSettings;
    }
  | { readonly kind: 'client'; readonly client: RedisClient };

/** Receives the changes of state of a {@link ClientLink}. */
export interface ClientLinkListener {
  /** A socket is open, its handshake is done, and it takes commands. */
  onReady(): void;
  /** There is no usable socket; the client goes on trying to connect by itself. */
  onLost(reason: string): void;
  /** The server has no use for the login. Called once. */
  onLoginUnused(): void;
}

/**
 * The ioredis client of one connection. The link opens the client, observes it, cuts a connection that has become
 * silent, and closes the client at the end. When the application has handed a client in, the link opens a second one
 * like it.
 */
export class ClientLink {
  /** What the client has reported about the present socket, or about the last attempt to open one. */
  readonly fault = new ConnectionFault(() => this.listener.onLoginUnused());
  private current: RedisClient | undefined;
  private greetingTimer: NodeJS.Timeout | undefined;
  /** The longest time from the open socket to the event `ready` in the present attempt, in milliseconds. */
  private greetingMs = CONNECT_ATTEMPT_MS;
  private reopenTimer: NodeJS.Timeout | undefined;
  /** Attempts in a row that ended with an error of a server that was reached, such as a refused login. */
  private refusedAttempts = 0;
  private isLookingForMaster = false;
  private isClosed = false;
  private readonly clientListeners: readonly (readonly [event: string, listener: (argument?: unknown) => void])[] = [
    ['error', (error) => this.noteFault(error)],
    ['node error', (error) => this.fault.note(error)], // the error of the cluster itself says only that no node was left
    ['sentinelError', (error) => this.fault.note(error)],
    ['connect', () => this.onSocketOpen()],
    ['ready', () => this.onGreeted()],
    ['close', () => this.onSocketLost()],
    ['reconnecting', () => this.letProcessEnd()],
    ['end', () => this.onEnded()],
  ];

  constructor(
    private readonly target: RedisTarget,
    private readonly commandTimeoutMs: number,
    private readonly listener: ClientLinkListener,
  ) {}

  /** The client, if its socket takes commands. */
  get ready(): RedisClient | undefined {
    return this.current?.status === 'ready' ? this.current : undefined;
  }

  get client(): RedisClient | undefined {
    return this.current;
  }

  async open(): Promise<void> {
    try {
      const client = await openClient(this.target, this.commandTimeoutMs);
      this.current = client;
      if (this.isClosed) {
        this.letGo(client);
        return;
      }
      for (const [event, listener] of this.clientListeners) {
        client.on(event, listener);
      }
      watchConnecting(client, this.fault);
      this.noteReconnections(client);
      this.slowRefusedAttempts(client);
      this.expectGreeting();
      if (client.status === 'wait') {
        // A failure arrives as the events `error` and `close`; the client goes on trying by itself.
        client.connect().catch(() => {});
      } else if (client.status === 'ready') {
        this.onGreeted();
      }
    } catch (error) {
      this.listener.onLost(outageReason(error));
    }
  }

  /** The connection has proven that it can be used. The client itself takes each open socket for a success. */
  onProven(): void {
    this.refusedAttempts = 0;
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.greetingTimer);
    clearTimeout(this.reopenTimer);
    if (this.current !== undefined) {
      this.letGo(this.current);
    }
  }

  private noteFault(error: unknown): void {
    this.fault.note(error);
    if (isOfAllSentinels(error) && this.fault.isNews) {
      this.listener.onLost(this.fault.report(VAGUE_REASON)); // the client asks them again, and emits no `close`
    }
  }

  /**
   * A reply after which the client reconnects is the reason for the loss of its connection. A replica (`READONLY`)
   * answers reads and sends messages, and it may stay a replica: its connection is left only for a master.
   */
  private noteReconnections(client: RedisClient): void {
    const options = client.options as RedisOptions;
    const { reconnectOnError } = options;
    if (isCluster(client) || reconnectOnError === undefined || reconnectOnError === null) {
      return;
    }
    options.reconnectOnError = (error) => {
      const decision = reconnectOnError(error);
      const key = decision === true && error.message.startsWith('READONLY') ? keyOfRefused(error) : undefined;
      if (key !== undefined) {
        void this.moveToMaster(client, key, error);
        return false;
      }
      if (decision !== false) {
        this.fault.note(error);
      }
      return decision;
    };
  }

  private async moveToMaster(client: Redis, key: string, refusal: Error): Promise<void> {
    const { stream } = client;
    if (!this.isLookingForMaster) {
      this.isLookingForMaster = true;
      const isFound = await reachesMaster(client, `${key}${CHECK_KEY_END}`);
      this.isLookingForMaster = false;
      if (isFound && !this.isClosed && client.stream === stream) {
        this.fault.note(refusal);
        destroySocketOf(client);
      }
    }
  }

  /** A server that refuses the connection is not asked as often as one that is gone and may be back at any moment. */
  private slowRefusedAttempts(client: RedisClient): void {
    const options = client.options as Record<string, unknown>;
    const name = isCluster(client) ? 'clusterRetryStrategy' : 'retryStrategy';
    const delayMs = options[name];
    if (typeof delayMs === 'function') {
      options[name] = (...args: readonly unknown[]): unknown => {
        const ownMs: unknown = delayMs(...args);
        const { word } = this.fault;
        const isRefused = word !== undefined && isTelling(word);
        return typeof ownMs === 'number' && isRefused ? Math.max(ownMs, refusedDelayMs(++this.refusedAttempts)) : ownMs;
      };
    }
  }

  private letGo(client: RedisClient): void {
    for (const [event, listener] of this.clientListeners) {
      client.off(event, listener);
    }
    client.on('error', () => {}); // a socket that is being closed may still emit an error
    endClient(client);
  }

  private onSocketOpen(): void {
    this.fault.clear();
    this.letProcessEnd();
    this.expectGreeting();
  }

  private onGreeted(): void {
    clearTimeout(this.greetingTimer);
    this.greetingMs = CONNECT_ATTEMPT_MS;
    this.listener.onReady();
  }

  private onSocketLost(): void {
    clearTimeout(this.greetingTimer);
    this.listener.onLost(this.fault.report('connection-closed'));
  }

  /**
   * Reconnects a client that has ended. A client with Sentinels ends for good when it receives a failover message while
   * it is reconnecting (ioredis 5: the failover detector stops the attempt that is under way).
   */
  private onEnded(): void {
    this.onSocketLost();
    if (!this.isClosed) {
      this.reopenTimer = setTimeout(() => {
        this.current?.connect().catch(() => {}); // as at the start, a failure arrives as events
      }, reconnectDelayMs(1));
      this.reopenTimer.unref();
    }
  }

  /**
   * Cuts a connection that is not ready within the time for one attempt. A server may accept a connection and then send
   * nothing, and the client itself waits without a limit. The next attempt gets twice the time, as the server may be
   * slow.
   */
  private expectGreeting(): void {
    clearTimeout(this.greetingTimer);
    this.greetingTimer = setTimeout(() => {
      if (this.ready === undefined) {
        this.fault.noteTimeout();
        this.greetingMs = 2 * CONNECT_ATTEMPT_MS;
        this.listener.onLost(this.fault.report('timeout'));
        if (this.current !== undefined) {
          destroySocketOf(this.current);
        }
      }
    }, this.greetingMs);
    this.greetingTimer.unref();
  }

  /** Unrefs the socket and the timer of the next attempt, so that neither keeps the process alive. */
  private letProcessEnd(): void {
    if (this.current !== undefined) {
      unrefClient(this.current);
    }
  }
}

/**
 * Opens the client of a cache-manager-ioredis-yet store and uses nothing else of the store. The store's own `get` and
 * `set` revive code from cached text (telejson), `reset` is FLUSHDB and `keys` is KEYS, so none of them is ever called.
 * The client is not connected here.
 */
async function openClient(target: RedisTarget, commandTimeoutMs: number): Promise<RedisClient> {
  switch (target.kind) {
    case 'client':
      return duplicateOf(target.client, commandTimeoutMs);
    case 'single':
      return withCredentials(
        (await redisStore(singleClientOptions(target.connection, commandTimeoutMs))).client as Redis,
        target.connection.credentials,
        commandTimeoutMs,
      );
    case 'cluster': {
      const nodes = target.nodes.map(({ host, port }) => ({ host, port }));
      const options = clusterClientOptions(target.connection, commandTimeoutMs);
      const { client } = await redisStore({ clusterConfig: { nodes, options } });
      return withClusterCredentials(client as Cluster, target.connection.credentials, commandTimeoutMs);
    }
  }
}

/**
 * Makes a second client for the same servers. The one that was handed in is never used: its `MULTI` would include
 * commands of the cache, a blocking command would delay them, and an `EXEC` of the cache would end its `WATCH`.
 */
function duplicateOf(client: RedisClient, commandTimeoutMs: number): RedisClient {
  if (isCluster(client)) {
    return client.duplicate([], clusterOptionsLike(client.options, commandTimeoutMs));
  }
  const duplicate = client.duplicate(singleOptionsLike(client.options, commandTimeoutMs));
  followCredentials(duplicate.options, () => client.options);
  return duplicate;
}

/** The key of a command that was refused; `undefined` for one that has none. */
function keyOfRefused({
  command,
}: Error & { readonly command?: { name: string; args: unknown[] } }): string | undefined {
  const key = command?.name.toLowerCase().startsWith('eval') === true ? command.args[2] : command?.args[0];
  return typeof key === 'string' || Buffer.isBuffer(key) ? key.toString() : undefined;
}

/**
 * Whether a new connection, to the same address or to the master that Sentinels name, reaches a server that accepts
 * writes. Never rejects.
 * @param key is not created
 */
async function reachesMaster(source: Redis, key: string): Promise<boolean> {
  const other = source.duplicate({
    lazyConnect: true,
    retryStrategy: () => null,
    reconnectOnError: null,
    enableReadyCheck: false,
    disableClientInfo: true,
    failoverDetector: false,
  });
  followCredentials(other.options, () => source.options);
  shareCredentials(other, source);
  other.on('error', () => {});
  const asking = other
    .connect()
    .then(() => other.call('set', [key, '', 'XX', 'PX', '1']))
    .then(() => true, isForbidden); // without the right to SET, only a reconnection can tell
  const isReached = await withinTime(asking, 2 * CONNECT_ATTEMPT_MS, false, false);
  endClient(other);
  return isReached;
}

/**
 * Makes the subscriber of a data connection: a second connection to the same server with the same options, on which
 * messages arrive. It is not opened yet, and has no name.
 * @param retryStrategy the delay before the given attempt to connect, in milliseconds
 */
export function openSubscriber(source: Redis, retryStrategy: (attempt: number) => number): Redis {
  const subscriber = source.duplicate({
    lazyConnect: true,
    // A command timeout would turn a slow subscription into an unhandled rejection inside the client.
    commandTimeout: undefined,
    // Commands of a lost connection are not repeated on the next: a late SUBSCRIBE would come before the question for
    // the id.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The client's own resubscription can lose the subscription while PING is still answered (redis/ioredis#2187).
    autoResubscribe: false,
    // `SignalPath` proves more than the ready check does, without INFO and its round trip.
    enableReadyCheck: false,
    // Without a ready check no command may be sent on connecting: an answer that a lost connection cuts off would make
    // the client `ready` without a socket, for good (ioredis 5.11).
    disableClientInfo: true,
    connectionName: undefined,
    // The detector would end the client for good if it received a failover while reconnecting; the heartbeat of the
    // channel notices a failover as well.
    failoverDetector: false,
    retryStrategy,
  });
  followCredentials(subscriber.options, () => source.options);
  return shareCredentials(subscriber, source);
}
