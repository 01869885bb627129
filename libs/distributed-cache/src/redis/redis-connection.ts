import { TierUnavailableError } from '../errors/index.js';
import { ClientLink, type RedisTarget } from './client-link.js';
import { CONNECT_ATTEMPT_MS } from './client-options.js';
import { CommandSender } from './command-sender.js';
import type {
  ConnectionState,
  RedisConnectionLimits,
  RedisConnectionListener,
  ServerPart,
} from './connection-contract.js';
import { ClusterNodes, type ClusterNode } from './cluster-nodes.js';
import { DeadlineClock, REAL_TIME, withinDeadline } from './deadline.js';
import { InFlight, ServerHealth } from './in-flight.js';
import { Heartbeat, Probe } from './probe.js';
import { ReadyCheck } from './ready-check.js';
import { isCluster, type RedisClient } from './redis-client.js';
import { Refusals } from './refusals.js';
import { QUEUE_LIMITS, type SendCost } from './send-queue.js';
import { ask, viaPromise, type ReplyListener, type Request, type Send } from './send.js';
import { ServerClock } from './server-clock.js';

/**
 * The one connection that all namespaces share, with a circuit breaker: it decides whether Redis can be used.
 *
 *     idle -> connecting -> live <-> down -> closed
 *
 * The connection is `live` once `TIME` has been answered, which also yields the server's clock. It becomes `down` when
 * the client loses its socket, when an operation (or the heartbeat) reaches the deadline while not one byte arrived, or
 * after several timeouts in a row. At that moment every waiting caller is released. While the connection is down no
 * operation waits for Redis; a probe (`TIME`) finds out when it is back.
 *
 * In a cluster each master has its own availability (`ClusterNode`). The connection as a whole is down only when no
 * master is left, or when the client gives up.
 */
export class RedisConnection {
  /** The masters of a cluster, each with its own availability; empty when Redis is one server. */
  readonly nodes: ClusterNodes;
  readonly isCluster: boolean;
  /** The commands that Redis refuses for now, although it answers. */
  readonly refusals: Refusals;
  private currentState: ConnectionState = 'idle';
  private lastReason = 'not-connected';
  private downSinceMs: number | undefined;
  private readonly heartbeat: Heartbeat;
  /** Resolves when the first attempt to connect has ended. */
  private connected: Promise<void> | undefined;
  private endFirstAttempt = (): void => {};
  private readonly probe = new Probe(() => this.tryToGoLive());
  private readonly link: ClientLink;
  private readonly clock: ServerClock;
  private readonly readyCheck: ReadyCheck;
  private readonly sender: CommandSender;
  /** The time that counts against the deadline of an operation with several steps. */
  readonly deadlineClock: DeadlineClock;
  private readonly inFlight: InFlight;
  /** Operations that wait for the first connection. */
  private readonly early: InFlight;
  /** The health of the connection as a whole; each master of a cluster has its own. */
  private readonly health: ServerHealth;

  constructor(
    target: RedisTarget,
    private readonly limits: RedisConnectionLimits,
    private readonly listener: RedisConnectionListener,
  ) {
    this.link = new ClientLink(target, limits.commandTimeoutMs, {
      onReady: () => this.probe.restart(),
      onLost: (reason) => this.goDown(reason),
    });
    this.isCluster = target.kind === 'cluster' || (target.kind === 'client' && isCluster(target.client));
    this.clock = new ServerClock(limits.nowMs);
    this.heartbeat = new Heartbeat(limits, () => {
      void this.ping();
      listener.onHeartbeat?.();
    });
    this.readyCheck = new ReadyCheck(this.link, this.clock, limits, async (client) => {
      this.follow();
      await listener.beforeLive?.(client);
    });
    this.refusals = new Refusals((refusal) => listener.onRefused?.(refusal), this.isCluster);
    this.sender = new CommandSender(limits.commandTimeoutMs, this.refusals);
    const { deadlineMs } = limits;
    const nowMs = (): number => REAL_TIME.nowMs();
    this.deadlineClock = new DeadlineClock(nowMs, deadlineMs);
    this.inFlight = new InFlight({ deadlineMs, nowMs, deadlineClock: this.deadlineClock });
    this.early = new InFlight({
      deadlineMs,
      nowMs,
      limits: { ...QUEUE_LIMITS, maxSent: QUEUE_LIMITS.maxQueued, maxQueued: 0 },
    });
    this.health = new ServerHealth(
      () => this.sender.replies + this.link.bytesRead,
      (isSilent) => this.onUnusable(isSilent),
    );
    this.nodes = new ClusterNodes({
      deadlineMs,
      nowMs: limits.nowMs,
      newInFlight: () => new InFlight({ deadlineMs, nowMs, deadlineClock: this.deadlineClock }),
      send: (operation, send, waiter, to) => this.send(operation, send, waiter, to),
      onDown: (node) => this.onNodeDown(node),
      beforeLive: async (part) => listener.beforeNodeLive?.(part),
      onLive: ({ name }, downMs) => (this.isLive ? listener.onNodeLive?.(name, downMs) : this.probe.restart()),
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

  /** Whether commands wait for their replies. */
  get isBusy(): boolean {
    return this.sender.unanswered > 0;
  }

  /** Whether all of Redis can be used: the connection is live and no master of a cluster is down. */
  get allNodesUp(): boolean {
    return this.currentState === 'live' && this.nodes.allUp;
  }

  /**
   * The time since when the server of this key can't be used, on this process's clock; `undefined` while it can be
   * used.
   */
  outageSinceMs(key: string): number | undefined {
    return this.downSinceMs ?? (this.nodes.allUp ? undefined : this.nodes.ownerOf(key)?.downSinceMs);
  }

  /** The parts of Redis that are independent of each other: the masters of a cluster, else the one server. */
  get parts(): readonly ServerPart[] {
    return this.isCluster
      ? this.nodes.parts
      : [{ owns: () => true, run: (operation, send) => this.run(operation, send) }];
  }

  /** Time since the last answer of Redis, in milliseconds; `undefined` if there was none. */
  get sinceAnswerMs(): number | undefined {
    return this.heartbeat.sinceAnswerMs;
  }

  get roundTripMs(): number {
    return this.clock.roundTripMs;
  }

  /**
   * The time of the Redis server that holds this key, in milliseconds; before the first answer, this process's time.
   */
  serverNowMs(key: string): number {
    return this.clockFor(key).nowMs();
  }

  /** The largest possible error of {@link serverNowMs}, ahead or behind, in milliseconds. */
  serverErrorMs(key: string): number {
    return this.clockFor(key).errorMs;
  }

  /** Starts to connect, once. Resolves when the first attempt has ended, whether or not it succeeded; never rejects. */
  connect(): Promise<void> {
    this.connected ??= new Promise((resolve) => {
      // Sockets and timers here are unref'd: without this timer a program that waits for its first connection would end.
      const keepProcess = setInterval(() => {}, CONNECT_ATTEMPT_MS);
      this.endFirstAttempt = () => {
        clearInterval(keepProcess);
        resolve();
      };
      if (this.currentState === 'closed') {
        this.endFirstAttempt();
      } else {
        this.currentState = 'connecting';
        void this.link.open();
      }
    });
    return this.connected;
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

  /** Whether Redis (in a cluster, any master) answers now, within `deadlineMs`; also learns the servers' clocks. */
  async ping(): Promise<boolean> {
    this.follow();
    const asking: Promise<unknown> =
      this.isLive && this.isCluster
        ? this.nodes.greet()
        : this.run('TIME', (client) => this.clock.learnFrom(client), undefined, { isUrgent: true });
    const answers = (await asking.catch(() => false)) !== false; // the state of the connection says why not
    if (answers) {
      this.heartbeat.onAnswer();
    }
    return answers;
  }

  /** Waits for the operations under way (at most `deadlineMs`), then closes the connection if it was opened here. */
  async close(): Promise<void> {
    if (this.currentState === 'closed') {
      return;
    }
    if (this.isLive && this.inFlight.size > 0) {
      // Answers arrive in order: the answer to this command is the last.
      const last = this.run('TIME', (client) => this.clock.learnFrom(client)).catch(() => {});
      await withinDeadline(last, REAL_TIME, REAL_TIME.nowMs() + this.limits.deadlineMs, () => {});
    }
    this.currentState = 'closed';
    this.probe.stop();
    this.nodes.close();
    this.heartbeat.stop();
    this.releaseAll();
    this.endFirstAttempt();
    this.link.close();
  }

  private follow(): void {
    const client = this.link.ready;
    if (client !== undefined && isCluster(client)) {
      this.nodes.follow(client);
    }
  }

  private onNodeDown(node: ClusterNode): void {
    if (this.nodes.areAllDown) {
      this.goDown(node.reason);
      this.probe.later();
    } else if (this.isLive) {
      this.listener.onNodeDown?.(node.name, node.reason);
    }
  }

  private clockFor(key: string): ServerClock {
    return this.nodes.ownerOf(key)?.serverClock ?? this.clock;
  }

  private start<Result>(operation: string, send: Send<Result>, key?: string, cost?: SendCost): Promise<Result> {
    if (this.currentState === 'live') {
      const node = key === undefined ? undefined : this.nodes.ownerOf(key);
      return node === undefined
        ? this.inFlight.listen(
            operation,
            this.health,
            (waiter: ReplyListener<Result>) => this.send(operation, send, waiter),
            cost,
          )
        : this.nodes.run(node, operation, send, cost);
    }
    if (this.currentState === 'idle' || this.currentState === 'connecting') {
      return this.early
        .track(operation, this.health, () => this.connect())
        .then(() =>
          this.isLive ? this.start(operation, send, key, cost) : Promise.reject(this.unavailable(operation)),
        );
    }
    return Promise.reject(this.unavailable(operation));
  }

  private send<Result>(
    operation: string,
    send: Send<Result>,
    listener: ReplyListener<Result>,
    target?: RedisClient,
  ): void {
    const client = this.link.ready;
    if (client === undefined || this.currentState !== 'live') {
      listener.onFailure(this.unavailable(operation));
    } else {
      this.sender.send(client, operation, send, listener, target);
    }
  }

  private onUnusable(isSilent: boolean): void {
    if (!this.isLive || this.isCluster) {
      return;
    }
    this.goDown('timeout');
    if (isSilent) {
      this.link.cut();
    }
    this.probe.later();
  }

  private goDown(reason: string): void {
    this.sender.startAnew();
    if (this.currentState === 'closed') {
      return;
    }
    this.lastReason = reason;
    if (this.currentState === 'down') {
      return;
    }
    this.currentState = 'down';
    this.downSinceMs = this.limits.nowMs();
    this.heartbeat.stop();
    this.releaseAll();
    this.endFirstAttempt();
    this.listener.onDown(reason);
  }

  private releaseAll(): void {
    this.early.releaseAll((operation) => this.unavailable(operation));
    this.inFlight.releaseAll(this.unavailable);
    this.nodes.releaseAll(this.unavailable);
  }

  private goLive(): void {
    const { downSinceMs } = this;
    this.currentState = 'live';
    this.downSinceMs = undefined;
    this.health.onAnswer();
    this.heartbeat.onAnswer();
    this.heartbeat.start();
    this.listener.onLive(downSinceMs === undefined ? undefined : this.limits.nowMs() - downSinceMs);
    this.endFirstAttempt();
  }

  /** Checks a connection that is open but not trusted. @returns false if it is to be checked again */
  private async tryToGoLive(): Promise<boolean> {
    const client = this.link.ready;
    if (client === undefined || this.isLive || this.currentState === 'closed') {
      return true; // not open: it is checked when it becomes ready
    }
    const fault = await this.readyCheck.run(client);
    if (this.state === 'closed') {
      return true;
    }
    if (fault === undefined) {
      this.goLive();
    } else {
      this.goDown(fault);
    }
    return fault === undefined;
  }

  private readonly unavailable = (operation: string, wasSent = false) =>
    new TierUnavailableError(operation, this.currentState === 'closed' ? 'closed' : 'not-connected', wasSent);
}
