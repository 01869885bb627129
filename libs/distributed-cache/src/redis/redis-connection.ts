import { TierUnavailableError } from '../errors/index.js';
import { ClientLink } from './client-link.js';
import { CONNECT_ATTEMPT_MS } from './client-options.js';
import type { ConnectionState, RedisConnectionLimits, RedisConnectionListener } from './connection-contract.js';
import { InFlight, type TimeoutVerdict } from './in-flight.js';
import type { RedisTarget } from './open-client.js';
import { Probe } from './probe.js';
import { isCluster, type RedisClient } from './redis-client.js';
import { outageReason, toTierError } from './reply-errors.js';
import { ServerClock } from './server-clock.js';

/** More commands than this on their way at once are refused: about 10 MB of the client's memory. */
const MAX_IN_FLIGHT = 4096;
/** So many timeouts in a row, no answer between them, make a Redis that is too slow to use, although it shows life. */
const SLOW_TIMEOUTS_TO_OPEN = 5;

/**
 * The one connection that all namespaces share, and the judgement whether it can be used.
 *
 *     idle -> connecting -> live <-> down -> closed
 *
 * It is `live` once `TIME` has been answered, which also tells the server's clock. It goes `down` when the client loses its
 * socket, when an operation (or the heartbeat) runs into the deadline while not one byte arrived, or after several timeouts
 * in a row; whoever waits is released at that moment. While it is down nothing waits for Redis; the client
 * reconnects in the background, and a probe (`TIME`, one at a time) finds out when Redis answers again.
 */
export class RedisConnection {
  private currentState: ConnectionState = 'idle';
  private lastReason = 'not-connected';
  private downSinceMs: number | undefined;
  private replies = 0;
  private timeoutsInRow = 0;
  private answeredAtMs: number | undefined;
  private heartbeatTimer: NodeJS.Timeout | undefined;
  private firstOutcome: Promise<void> | undefined;
  private settleFirstOutcome: () => void = () => {};
  private readonly probe = new Probe(() => this.tryToGoLive());
  private readonly link: ClientLink;
  private readonly clock: ServerClock;
  private readonly inFlight: InFlight;

  constructor(
    private readonly target: RedisTarget,
    private readonly limits: RedisConnectionLimits,
    private readonly listener: RedisConnectionListener,
  ) {
    this.link = new ClientLink(target, limits.commandTimeoutMs, {
      onReady: () => this.probe.restart(),
      onLost: (reason) => this.goDown(reason),
    });
    this.clock = new ServerClock(limits.nowMs);
    this.inFlight = new InFlight({
      deadlineMs: limits.deadlineMs,
      maxPending: MAX_IN_FLIGHT,
      nowMs: () => performance.now(), // whatever clock entries go by, callers wait in real time
      progress: () => this.replies + this.link.bytesRead,
      onAnswer: () => (this.timeoutsInRow = 0),
      onTimeout: (verdict) => this.onTimeout(verdict),
    });
  }

  get state(): ConnectionState {
    return this.currentState;
  }

  get isLive(): boolean {
    return this.currentState === 'live';
  }

  /** Why Redis can't be used, in one word; meaningful while it is not live. */
  get reason(): string {
    return this.lastReason;
  }

  /** Since when Redis can't be used, on this process's clock; `undefined` while it can. */
  get outageSinceMs(): number | undefined {
    return this.downSinceMs;
  }

  get isCluster(): boolean {
    return this.target.kind === 'cluster' || (this.target.kind === 'client' && isCluster(this.target.client));
  }

  /** Time since Redis last answered anything, in milliseconds; `undefined` if it never did. */
  get sinceAnswerMs(): number | undefined {
    return this.answeredAtMs === undefined ? undefined : this.limits.nowMs() - this.answeredAtMs;
  }

  /** How long the last heartbeat took, in milliseconds. */
  get roundTripMs(): number {
    return this.clock.roundTripMs;
  }

  /** The Redis server's clock, in milliseconds; before the first answer, this process's. */
  serverNowMs(): number {
    return this.clock.nowMs();
  }

  /** Starts to connect, once. Resolves when the first attempt has ended, well or badly; never rejects. */
  connect(): Promise<void> {
    if (this.firstOutcome === undefined) {
      // Sockets and timers here are unref'd: without this a program that waits for its first connection would end.
      const keepProcess = setInterval(() => {}, CONNECT_ATTEMPT_MS);
      this.firstOutcome = new Promise((resolve) => {
        this.settleFirstOutcome = () => {
          clearInterval(keepProcess);
          resolve();
        };
      });
      if (this.currentState === 'closed') {
        this.settleFirstOutcome();
      } else {
        this.currentState = 'connecting';
        void this.link.open();
      }
    }
    return this.firstOutcome;
  }

  /**
   * Sends a command and waits for its answer, at most `deadlineMs`. The very first operations wait for the connection
   * within that time; from then on a connection that is not live refuses at once.
   * @throws TierUnavailableError (nothing was sent), TierTimeoutError or TierDisconnectedError (it may have taken
   *   effect), TierReplyError (Redis said no); never anything else
   */
  run<Result>(operation: string, send: (client: RedisClient) => Promise<Result>): Promise<Result> {
    if (this.currentState === 'live') {
      return this.inFlight.track(operation, () => this.send(operation, send));
    }
    if (this.currentState === 'idle' || this.currentState === 'connecting') {
      return this.inFlight.track(operation, async () => {
        await this.connect();
        return this.send(operation, send);
      });
    }
    return Promise.reject(this.unavailable(operation));
  }

  /** Whether Redis answers now, within `deadlineMs`; learns the server's clock on the way. */
  async ping(): Promise<boolean> {
    try {
      await this.run('TIME', (client) => this.clock.learnFrom(client));
      this.answeredAtMs = this.limits.nowMs();
      return true;
    } catch {
      return false; // why, the connection's own state tells
    }
  }

  /** Waits for what is on its way (at most `deadlineMs`), then closes the connection if we opened it. */
  async close(): Promise<void> {
    if (this.currentState === 'closed') {
      return;
    }
    if (this.isLive && this.inFlight.size > 0) {
      await this.ping(); // answers come in order: its own is the last
    }
    this.currentState = 'closed';
    this.probe.stop();
    clearInterval(this.heartbeatTimer);
    this.inFlight.releaseAll((operation) => this.unavailable(operation));
    this.settleFirstOutcome();
    this.link.close();
  }

  private async send<Result>(operation: string, send: (client: RedisClient) => Promise<Result>): Promise<Result> {
    const client = this.link.ready;
    if (client === undefined || this.currentState !== 'live') {
      throw this.unavailable(operation);
    }
    try {
      const result = await send(client);
      this.replies++;
      return result;
    } catch (error) {
      const tierError = toTierError(operation, error, this.limits.commandTimeoutMs);
      if (tierError.code === 'CACHE_TIER_REPLY') {
        this.replies++;
      }
      throw tierError;
    }
  }

  private onTimeout(verdict: TimeoutVerdict): void {
    if (!this.isLive || verdict === 'busy-process') {
      return;
    }
    this.timeoutsInRow++;
    if (verdict === 'slow' && this.timeoutsInRow < SLOW_TIMEOUTS_TO_OPEN) {
      return;
    }
    this.goDown('timeout');
    if (verdict === 'silent') {
      this.link.cut();
    }
    this.probe.later();
  }

  private goDown(reason: string): void {
    if (this.currentState === 'closed') {
      return;
    }
    this.lastReason = reason;
    if (this.currentState === 'down') {
      return;
    }
    this.currentState = 'down';
    this.downSinceMs = this.limits.nowMs();
    clearInterval(this.heartbeatTimer);
    this.inFlight.releaseAll((operation) => this.unavailable(operation));
    this.settleFirstOutcome();
    this.listener.onDown(reason);
  }

  private goLive(): void {
    const { downSinceMs } = this;
    const { heartbeatMs, deadlineMs, nowMs } = this.limits;
    this.currentState = 'live';
    this.downSinceMs = undefined;
    this.timeoutsInRow = 0;
    this.answeredAtMs = nowMs();
    clearInterval(this.heartbeatTimer);
    this.heartbeatTimer = setInterval(
      () => {
        void this.ping();
        this.listener.onHeartbeat?.();
      },
      Math.max(heartbeatMs / 2, heartbeatMs - deadlineMs),
    );
    this.heartbeatTimer.unref();
    this.listener.onLive(downSinceMs === undefined ? undefined : nowMs() - downSinceMs);
    this.settleFirstOutcome();
  }

  /** Asks a connection that is open but not trusted. @returns false if it is to be asked again */
  private async tryToGoLive(): Promise<boolean> {
    const client = this.link.ready;
    if (client === undefined || this.isLive || this.currentState === 'closed') {
      return true; // not open: it is asked when it has become ready
    }
    const bytesBefore = this.link.bytesRead;
    const answer = this.clock.learnFrom(client).then(
      () => undefined,
      (error: unknown) => outageReason(error),
    );
    const silence = await Promise.race([answer, expiryOf(this.limits.deadlineMs)]);
    const fault = silence ?? (await this.prepare(client));
    if (this.state === 'closed') {
      return true;
    }
    if (fault === undefined) {
      this.goLive();
      return true;
    }
    this.goDown(fault);
    if (silence === 'timeout' && this.link.bytesRead === bytesBefore) {
      this.link.cut();
    }
    return false;
  }

  private async prepare(client: RedisClient): Promise<string | undefined> {
    try {
      await this.listener.beforeLive?.(client);
      return this.link.ready === client ? undefined : 'connection-closed';
    } catch (error) {
      return outageReason(error);
    }
  }

  private unavailable(operation: string): TierUnavailableError {
    return new TierUnavailableError(operation, this.currentState === 'closed' ? 'closed' : 'not-connected');
  }
}

function expiryOf(delayMs: number): Promise<'timeout'> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs, 'timeout').unref();
  });
}
