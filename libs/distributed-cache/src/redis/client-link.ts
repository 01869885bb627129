import { CONNECT_ATTEMPT_MS, reconnectDelayMs } from './client-options.js';
import { ConnectionFault } from './connection-fault.js';
import { openClient, type RedisTarget } from './open-client.js';
import {
  bytesReadBy,
  destroySocketOf,
  endClient,
  unrefClient,
  watchConnecting,
  type RedisClient,
} from './redis-client.js';
import { isOfAllSentinels, outageReason, VAGUE_REASON } from './reply-errors.js';

/** Receives the changes of state of a {@link ClientLink}. */
export interface ClientLinkListener {
  /** A socket is open, its handshake is done, and it takes commands. */
  onReady(): void;
  /** There is no usable socket; the client goes on trying to connect by itself. */
  onLost(reason: string): void;
}

/**
 * The ioredis client of one connection, and its life: it is opened, observed, cut when it has become silent, and closed
 * at the end. Event listeners are bound once and removed again. When the application has handed a client in, a second
 * client is opened beside it.
 */
export class ClientLink {
  private current: RedisClient | undefined;
  private readonly reason = new ConnectionFault();
  private greetingTimer: NodeJS.Timeout | undefined;
  private reopenTimer: NodeJS.Timeout | undefined;
  private isClosed = false;
  private readonly clientListeners: readonly (readonly [event: string, listener: (argument?: unknown) => void])[] = [
    ['error', (error) => this.noteFault(error)],
    ['node error', (error) => this.reason.note(error)], // the error of the cluster itself says only that no node was left
    ['sentinelError', (error) => this.reason.note(error)],
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

  /** What the client has reported about the present socket, or about the last attempt to open one, in one word. */
  get fault(): string | undefined {
    return this.reason.word;
  }

  get bytesRead(): number {
    return this.current === undefined ? 0 : bytesReadBy(this.current);
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
      watchConnecting(client, this.reason);
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

  /** Destroys the socket, so that the client opens another: a half-open socket would never end by itself. */
  cut(): void {
    if (this.current !== undefined) {
      destroySocketOf(this.current);
    }
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
    this.reason.note(error);
    if (isOfAllSentinels(error) && this.reason.isNews) {
      this.listener.onLost(this.reason.tell(VAGUE_REASON)); // they are asked again and again, without the event `close`
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
    this.reason.clear();
    this.letProcessEnd();
    this.expectGreeting();
  }

  private onGreeted(): void {
    clearTimeout(this.greetingTimer);
    this.listener.onReady();
  }

  private onSocketLost(): void {
    clearTimeout(this.greetingTimer);
    this.listener.onLost(this.reason.tell('connection-closed'));
  }

  /**
   * Reconnects a client that has ended. A client that finds its master through Sentinels ends for good when it receives
   * the news of a failover while it is reconnecting (ioredis 5: the failover detector stops the attempt that is under
   * way).
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
   * Cuts a connection that is not greeted within the time for one attempt. A server may accept the connection and then
   * send nothing, and the client itself would wait for its greeting.
   */
  private expectGreeting(): void {
    clearTimeout(this.greetingTimer);
    this.greetingTimer = setTimeout(() => {
      if (this.ready === undefined) {
        this.reason.noteTimeout();
        this.listener.onLost(this.reason.tell('timeout'));
        this.cut();
      }
    }, CONNECT_ATTEMPT_MS);
    this.greetingTimer.unref();
  }

  /** Unrefs the socket and the timer of the next attempt, so that neither keeps the process alive. */
  private letProcessEnd(): void {
    if (this.current !== undefined) {
      unrefClient(this.current);
    }
  }
}
