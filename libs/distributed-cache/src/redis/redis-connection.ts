import { TierUnavailableError } from '../errors/index.js';
import { ClientLink, type RedisTarget } from './client-link.js';
import { CONNECT_ATTEMPT_MS } from './client-options.js';
import { CommandSender } from './command-sender.js';
import { DeadlineClock, REAL_TIME, withinDeadline } from './deadline.js';
import { InFlight, type HealthObserver } from './in-flight.js';
import { isCluster, type RedisClient } from './redis-client.js';
import { Refusals } from './refusals.js';
import { QUEUE_LIMITS, type SendCost } from './send-queue.js';
import { ask, viaPromise, type ReplyListener, type Request, type Send } from './send.js';
import type { ServerClock } from './server-clock.js';
import { ServerNode, type NodeContext, type RedisConnectionLimits } from './server-node.js';
import { Topology, type OperationObserver, type RedisConnectionListener } from './topology.js';

export type ConnectionState = 'idle' | 'connecting' | 'live' | 'down' | 'closed';

/**
 * The one connection that all namespaces share: it decides whether Redis can be used.
 *
 *     idle -> connecting -> live <-> down -> closed
 *
 * The connection is `live` while the one server is up ({@link ServerNode}). In a cluster each master has its own
 * availability. The connection as a whole is down only when no master is left, or when the client gives up. When it
 * becomes `down`, every waiting caller is released. While it is down no operation waits for Redis.
 */
export class RedisConnection {
  readonly topology: Topology;
  readonly isCluster: boolean;
  /** The commands that Redis refuses for now, although it answers. */
  readonly refusals: Refusals;
  /** The time that counts against the deadline of an operation with several steps. */
  readonly deadlineClock: DeadlineClock;
  /** Whether the connection is live and no master of a cluster is down. A field, because each hit reads it. */
  allNodesUp = false;
  private isClosed = false;
  private readonly link: ClientLink;
  /** The one server, or the cluster as a whole. */
  private readonly whole: ServerNode;
  private readonly heartbeat: Heartbeat;
  private readonly sender: CommandSender;
  private readonly first: FirstAttempt;

  constructor(
    target: RedisTarget,
    private readonly limits: RedisConnectionLimits,
    private readonly listener: RedisConnectionListener,
  ) {
    this.isCluster = target.kind === 'cluster' || (target.kind === 'client' && isCluster(target.client));
    this.refusals = new Refusals((refusal) => listener.onRefused?.(refusal), this.isCluster);
    this.sender = new CommandSender(limits.commandTimeoutMs, this.refusals);
    this.deadlineClock = new DeadlineClock(() => REAL_TIME.nowMs(), limits.deadlineMs);
    this.heartbeat = new Heartbeat(limits, () => {
      void this.ping();
      listener.onHeartbeat?.();
    });
    this.link = new ClientLink(target, limits.commandTimeoutMs, {
      onReady: () => this.whole.probeNow(),
      onLost: (reason) => this.whole.fail(reason),
      onLoginUnused: () => listener.onRefused?.({ command: 'AUTH', reply: 'ERR' }),
    });
    const context: NodeContext = {
      limits,
      deadlineClock: this.deadlineClock,
      send: (operation, send, waiter, node) => this.send(operation, send, waiter, node),
    };
    this.whole = new ServerNode(
      {
        name: 'redis',
        isUp: false,
        fault: this.link.fault,
        findClient: () => this.link.client,
        prepare: async ({ isInDoubt }, client) => {
          this.topology.follow(client);
          await listener.beforeLive?.(client, isInDoubt);
        },
        onDoubt: () => this.suspend(),
        onDoubtEnded: () => {
          this.resume();
          listener.onDoubtEnded?.();
        },
        onDown: () => this.onDown(),
        onCause: ({ reason }) => listener.onCause?.(reason),
        onLive: (_node, downMs) => this.onLive(downMs),
      },
      context,
    );
    this.topology = new Topology(this.whole, context, listener, () => this.updateNodes());
    this.first = new FirstAttempt(this.whole.health, limits.deadlineMs);
  }

  get state(): ConnectionState {
    if (this.isClosed) {
      return 'closed';
    }
    return this.whole.isUp ? 'live' : this.first.state;
  }

  get isLive(): boolean {
    return this.whole.isUp && !this.isClosed;
  }

  /** Why Redis can't be used, in one word; meaningful while it is not live. */
  get reason(): string {
    return this.whole.reason;
  }

  /** Whether commands wait for their replies. */
  get isBusy(): boolean {
    return this.sender.unanswered > 0;
  }

  /** Whether the server of this key is in doubt: it takes no commands for now, and may answer yet. */
  isInDoubt(key: string): boolean {
    return this.whole.isInDoubt || this.topology.nodeOf(key).isInDoubt;
  }

  /** Whether Redis can be used, or is in doubt. */
  get isConnected(): boolean {
    return this.isLive || this.whole.isInDoubt;
  }

  /** Since when the server of this key can't be used, on this process's clock; `undefined` while it can be used. */
  outageSinceMs(key: string): number | undefined {
    return this.whole.downSinceMs ?? (this.topology.allUp ? undefined : this.topology.nodeOf(key).downSinceMs);
  }

  /** Time since the last answer of Redis, in milliseconds; `undefined` if there was none. */
  get sinceAnswerMs(): number | undefined {
    return this.heartbeat.sinceAnswerMs;
  }

  get roundTripMs(): number {
    return this.whole.clock.roundTripMs;
  }

  /** The time of the server that holds this key, in milliseconds; before its first answer, this process's time. */
  serverNowMs(key: string): number {
    return this.clockFor(key).nowMs();
  }

  /** The largest possible error of {@link serverNowMs}, ahead or behind, in milliseconds. */
  serverErrorMs(key: string): number {
    return this.clockFor(key).errorMs;
  }

  /** Starts to connect, once. Resolves when the first attempt has ended, whether or not it succeeded; never rejects. */
  connect(): Promise<void> {
    return this.first.start(() => void this.link.open());
  }

  /**
   * Sends a command and waits for its answer, at most `deadlineMs`. The first operations wait for the connection within
   * that time; later, a connection that is not live rejects them at once.
   * @param key one of the keys of the operation: the server of that key counts
   * @throws TierUnavailableError (nothing was sent), TierTimeoutError or TierDisconnectedError (it may have taken
   * effect), TierReplyError (an error reply of Redis); never anything else
   */
  run<Result>(
    operation: string,
    send: (client: RedisClient) => Promise<Result>,
    key?: string,
    cost?: SendCost,
  ): Promise<Result> {
    return this.start(operation, viaPromise(send), key, cost);
  }

  /**
   * Sends a request and waits for its result, as {@link run} does, without a promise for each step: those would cost a
   * hit in Redis more than the read of its entry.
   * @param build called when the request is sent
   */
  request<Result>(
    operation: string,
    key: string | undefined,
    build: (client: RedisClient) => Request<Result>,
    cost?: SendCost,
  ): Promise<Result> {
    return this.start(operation, (client, listener) => ask(client, build(client), listener), key, cost);
  }

  /**
   * Whether Redis (in a cluster, any master) answers now, within `deadlineMs`, or twice that when it is in doubt; also
   * learns the servers' clocks.
   */
  async ping(): Promise<boolean> {
    this.topology.follow(this.link.ready);
    const answers = await this.untilLive('TIME').then(
      () => this.topology.greet(),
      () => false, // the state of the connection says why not
    );
    if (answers) {
      this.heartbeat.onAnswer();
    } else if (this.whole.isInDoubt) {
      await this.whole.whenDecided();
      return this.isLive;
    }
    return answers;
  }

  /** Waits for the operations under way (at most `deadlineMs`), then closes the connection if it was opened here. */
  async close(): Promise<void> {
    if (this.isClosed) {
      return;
    }
    const last = this.isLive ? this.topology.drained() : undefined;
    if (last !== undefined) {
      await withinDeadline(last, REAL_TIME, REAL_TIME.nowMs() + this.limits.deadlineMs, () => {});
    }
    this.isClosed = true;
    this.heartbeat.stop();
    this.releaseAll();
    this.topology.close();
    this.first.end();
    this.link.close();
  }

  private clockFor(key: string): ServerClock {
    const { clock } = this.topology.nodeOf(key);
    return clock.isKnown ? clock : this.whole.clock;
  }

  private start<Result>(operation: string, send: Send<Result>, key?: string, cost?: SendCost): Promise<Result> {
    if (!this.isLive) {
      return this.untilLive(operation).then(() => this.start(operation, send, key, cost));
    }
    const node = this.topology.nodeOf(key);
    const running = node.run(operation, send, cost);
    if (this.listener.operations?.isObserved === true) {
      this.observe(this.listener.operations, running, node.name, operation, key);
    }
    return running;
  }

  private observe(
    observer: OperationObserver,
    running: Promise<unknown>,
    server: string,
    operation: string,
    key?: string,
  ): void {
    const startedAtMs = REAL_TIME.nowMs();
    const end = (error: unknown): void =>
      observer.onEnded(operation, key, REAL_TIME.nowMs() - startedAtMs, error, server);
    running.then(() => end(undefined), end);
  }

  /** Waits for the first attempt to connect. @throws TierUnavailableError if Redis can't be used then */
  private async untilLive(operation: string): Promise<void> {
    if (this.state === 'idle' || this.state === 'connecting') {
      await this.first.operations.track(operation, () => this.connect());
    }
    if (!this.isLive) {
      throw this.unavailable(operation);
    }
  }

  private send<Result>(operation: string, send: Send<Result>, listener: ReplyListener<Result>, node: ServerNode): void {
    const client = this.link.ready;
    if (client === undefined || !this.isLive) {
      listener.onFailure(this.unavailable(operation));
    } else {
      this.sender.send(client, operation, send, listener, node);
    }
  }

  private onDown(): void {
    this.sender.startAnew();
    this.suspend();
    this.first.end();
    this.listener.onDown(this.reason);
  }

  private suspend(): void {
    this.updateNodes();
    this.heartbeat.stop();
    this.releaseAll();
  }

  private onLive(downMs: number | undefined): void {
    this.link.onProven();
    this.resume();
    this.listener.onLive(downMs);
    this.first.end();
  }

  private resume(): void {
    this.updateNodes();
    this.heartbeat.onAnswer();
    this.heartbeat.start();
  }

  private updateNodes(): void {
    this.refusals.retain(this.topology.nodes);
    this.allNodesUp = this.isLive && this.topology.allUp;
  }

  private releaseAll(): void {
    this.first.operations.releaseAll((operation) => this.unavailable(operation));
    this.topology.releaseAll((operation, wasSent) => this.unavailable(operation, wasSent));
  }

  private unavailable(operation: string, wasSent = false): TierUnavailableError {
    return new TierUnavailableError(operation, this.isClosed ? 'closed' : 'not-connected', wasSent);
  }
}

/** The first attempt to connect, and the operations that wait for its end. */
class FirstAttempt {
  readonly operations: InFlight;
  private outcome: Promise<void> | undefined;
  private resolve = (): void => {};
  private isOver = false;

  constructor(observer: HealthObserver, deadlineMs: number) {
    const nowMs = (): number => REAL_TIME.nowMs();
    const { maxQueued: most } = QUEUE_LIMITS;
    const limits = { ...QUEUE_LIMITS, maxSent: most, maxQueued: 0 }; // all of them wait for one event
    this.operations = new InFlight({ observer, deadlineMs, nowMs, limits, firstWindow: most });
  }

  get state(): 'idle' | 'connecting' | 'down' {
    if (this.isOver) {
      return 'down';
    }
    return this.outcome === undefined ? 'idle' : 'connecting';
  }

  /**
   * Starts the attempt at the first call, by `begin`.
   * @returns resolves when the attempt has ended, whether or not it succeeded
   */
  start(begin: () => void): Promise<void> {
    if (this.isOver) {
      return Promise.resolve();
    }
    if (this.outcome === undefined) {
      // Sockets and timers here are unref'd: without this timer a program that waits for its first connection would end.
      const keepProcess = setInterval(() => {}, CONNECT_ATTEMPT_MS);
      this.outcome = new Promise((resolve) => {
        this.resolve = () => {
          clearInterval(keepProcess);
          resolve();
        };
      });
      begin();
    }
    return this.outcome;
  }

  end(): void {
    this.isOver = true;
    this.resolve();
  }
}

/** Sends a question at regular intervals, and records the time of the last answer. */
class Heartbeat {
  private timer: NodeJS.Timeout | undefined;
  private answeredAtMs: number | undefined;

  constructor(
    private readonly limits: {
      readonly heartbeatMs: number;
      readonly deadlineMs: number;
      readonly nowMs: () => number;
    },
    private readonly beat: () => void,
  ) {}

  /** Time since the last answer, in milliseconds; `undefined` if there never was one. */
  get sinceAnswerMs(): number | undefined {
    return this.answeredAtMs === undefined ? undefined : this.limits.nowMs() - this.answeredAtMs;
  }

  /**
   * Starts the interval, so that a hung server is found within `heartbeatMs`: the question is sent earlier by the time
   * that its answer may take.
   */
  start(): void {
    const { heartbeatMs, deadlineMs } = this.limits;
    this.stop();
    this.timer = setInterval(this.beat, Math.max(heartbeatMs / 2, heartbeatMs - deadlineMs));
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  onAnswer(): void {
    this.answeredAtMs = this.limits.nowMs();
  }
}
