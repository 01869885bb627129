import { TierReplyError, TierTimeoutError, TierUnavailableError } from '../errors/index.js';
import { isTelling, type ConnectionFault } from './client-errors.js';
import { CONNECT_ATTEMPT_MS, reconnectDelayMs } from './client-options.js';
import { REAL_TIME, type DeadlineClock } from './deadline.js';
import { InFlight, ServerHealth } from './in-flight.js';
import { PreviousConnection, faultOf, requireAnswers, requireMaster } from './ready-check.js';
import { bytesReadBy, destroySocketOf, isCluster, type RedisClient } from './redis-client.js';
import type { SendCost } from './send-queue.js';
import { viaPromise, type ReplyListener, type Send } from './send.js';
import { ServerClock } from './server-clock.js';

/** Faults that may follow from a cause that the client has reported before, such as a wrong password. */
const CONSEQUENCES: ReadonlySet<string> = new Set(['NOAUTH', 'connection-closed', 'connection-error']);

export interface RedisConnectionLimits {
  /** The longest wait of one operation, in milliseconds. */
  readonly deadlineMs: number;
  /** Hard limit of one command at the client, in milliseconds. */
  readonly commandTimeoutMs: number;
  /**
   * A hung or half-open connection is noticed within this time, in milliseconds, even when no command is sent on it.
   */
  readonly heartbeatMs: number;
  readonly nowMs: () => number;
}

/** The longest {@link ServerNode.patienceMs}. */
const MAX_PATIENCE_MS = 2 * CONNECT_ATTEMPT_MS;

/** What all nodes of one connection share. */
export interface NodeContext {
  readonly limits: RedisConnectionLimits;
  readonly deadlineClock: DeadlineClock;
  /** Sends a command to the node; it fails with this library's errors. */
  send<Result>(operation: string, send: Send<Result>, listener: ReplyListener<Result>, node: ServerNode): void;
}

/** What distinguishes one node from the others. */
export interface NodeSetup {
  /** For a master of a cluster `host:port`, as in the table of slots. */
  readonly name: string;
  /** Whether the node counts as usable before its first check. */
  readonly isUp: boolean;
  /** What the client has reported about the connection to the node. */
  readonly fault: ConnectionFault;
  /** The client's connection to the node; `undefined` while it has none. */
  findClient(): RedisClient | undefined;
  beforeProbe?(): void;
  /** The node answers again and is not trusted yet. A rejection means that it can't be prepared. */
  prepare(node: ServerNode, client: RedisClient): Promise<void>;
  /** The node takes no commands from now on; the callers that wait for it are to be released. */
  onDoubt(node: ServerNode): void;
  /** The node has answered again on the same connection: nothing was lost. */
  onDoubtEnded(node: ServerNode): void;
  /** The node can't be used: as {@link onDoubt}, and it may have been in doubt before. */
  onDown(node: ServerNode): void;
  /** The cause of the outage has become known: the server was reached, and says why it can't be used. */
  onCause(node: ServerNode): void;
  /** @param downMs how long the node could not be used, in milliseconds; `undefined` if it was not used before */
  onLive(node: ServerNode, downMs: number | undefined): void;
}

/**
 * One Redis server: its queue of operations, its circuit breaker and its clock. The breaker opens when the connection
 * is lost ({@link fail}), when an operation reaches the deadline while not one byte has arrived, or after several
 * timeouts in a row. From then on no command is sent to the node, and it is probed. A connection that is silent under a
 * probe is cut. The breaker closes when the node has answered within the deadline, its previous connection is ended, and
 * its owner has prepared it.
 *
 * After timeouts the node is in doubt first: a healthy server that is short of processor time is late, too. The doubt ends
 * with the first probe. If the node answers it, on the same connection, nothing was lost, and nothing is reported. If not,
 * the node is down.
 *
 * A cluster as a whole is a node as well: any master may answer its probe. Its timeouts do not open the breaker, as
 * they belong to one of the masters.
 */
export class ServerNode {
  /** The operations that were sent to the node and are unanswered, and those that are queued. */
  readonly inFlight: InFlight;
  readonly clock: ServerClock;
  readonly health = new ServerHealth(
    () => this.bytesRead,
    () => this.doubt(),
  );
  /** Whether commands are sent to the node. A field, because each operation reads it. */
  isUp: boolean;
  /** Whether the node is not up because of timeouts, and may answer yet. */
  isInDoubt = false;
  /** Since when the node can't be used, on this process's clock; `undefined` while it can, and before its first check. */
  downSinceMs: number | undefined;
  /** Why the node can't be used, in one word; meaningful while it is down. */
  reason = 'not-connected';
  /** Whether the cause of the outage has been reported. */
  private isCauseReported = false;
  private readonly previous = new PreviousConnection();
  private readonly probe = new Probe(() => this.tryToGoLive());
  private currentClient: RedisClient | undefined;
  private isStopped = false;
  private undecided: (() => void)[] = [];
  /** How long after the deadline a connection that answers nothing to its check is cut, in milliseconds. */
  private patienceMs = 0;

  constructor(
    private readonly setup: NodeSetup,
    private readonly context: NodeContext,
  ) {
    const { limits, deadlineClock } = context;
    this.isUp = setup.isUp;
    this.clock = new ServerClock(limits.nowMs);
    this.inFlight = new InFlight({
      observer: this.health,
      deadlineMs: limits.deadlineMs,
      maxBatchMs: limits.commandTimeoutMs,
      nowMs: () => REAL_TIME.nowMs(),
      deadlineClock,
    });
  }

  get name(): string {
    return this.setup.name;
  }

  get fault(): ConnectionFault {
    return this.setup.fault;
  }

  get client(): RedisClient | undefined {
    const { currentClient } = this;
    if (currentClient === undefined || currentClient.status === 'end') {
      this.currentClient = this.setup.findClient();
    }
    return this.currentClient;
  }

  /** Sends to the node and waits, as `RedisConnection.run` does. Rejects at once while the node is down. */
  run<Result>(operation: string, send: Send<Result>, cost?: SendCost): Promise<Result> {
    return this.isUp
      ? this.inFlight.listen<Result>(operation, (waiter) => this.context.send(operation, send, waiter, this), cost)
      : Promise.reject(breakerOpen(operation));
  }

  /**
   * Sends `TIME` to the node and learns its clock. A silent node fails by the timeout of that operation, and so does a
   * node that answers with an error. To a node without a connection nothing is sent: it is connected.
   */
  greet(cost?: SendCost): Promise<void> {
    const greeting = async (): Promise<void> => {
      const client = this.openClient();
      if (client !== undefined) {
        await this.previous.identifyOnce(client);
        await this.clock.learnFrom(client);
      }
    };
    return this.run('TIME', viaPromise(greeting), cost).catch((error: unknown) => {
      if (error instanceof TierReplyError) {
        this.fail(error.reply);
      } else if (this.isUp) {
        this.reason = error instanceof TierTimeoutError ? 'timeout' : (this.fault.word ?? 'connection-closed');
      }
      throw error;
    });
  }

  /** Marks the node as down and probes it until it answers. For a node that is down already, only the reason changes. */
  fail(reason: string): void {
    if (this.goDown(reason)) {
      this.probe.later();
    }
  }

  /** Resolves when the node is not in doubt. */
  whenDecided(): Promise<void> {
    return this.isInDoubt ? new Promise((resolve) => this.undecided.push(resolve)) : Promise.resolve();
  }

  /** Probes the node now, if it is not up: something has changed. */
  probeNow(): void {
    this.probe.restart();
  }

  stop(): void {
    this.isStopped = true;
    this.endDoubt();
    this.probe.stop();
  }

  private get bytesRead(): number {
    const { client } = this;
    return client === undefined ? 0 : bytesReadBy(client);
  }

  /** The connection, if it takes commands. One that has not been opened yet is opened. */
  private openClient(): RedisClient | undefined {
    const { client } = this;
    if (client?.status === 'wait') {
      client.connect().catch(() => {}); // a failure shows as the loss of the node
    }
    return client?.status === 'ready' ? client : undefined;
  }

  /** Cuts a silent connection. Its silence stays the reason; the end of the socket is a consequence. */
  private cut(client: RedisClient): void {
    this.fault.noteTimeout();
    destroySocketOf(client);
  }

  private doubt(): void {
    const { client } = this;
    if (!this.isUp || this.isStopped || (client !== undefined && isCluster(client))) {
      return;
    }
    this.isInDoubt = true;
    this.suspend('timeout');
    this.setup.onDoubt(this);
    this.probe.restart();
  }

  /** @returns whether the node was not down before */
  private goDown(reason: string): boolean {
    if (this.isStopped) {
      return false;
    }
    const isDown = this.downSinceMs !== undefined && !this.isInDoubt;
    this.endDoubt();
    this.suspend(reason);
    if (!isDown) {
      this.isCauseReported = isTelling(reason);
      this.setup.onDown(this);
    } else if (!this.isCauseReported && isTelling(reason)) {
      this.isCauseReported = true;
      this.setup.onCause(this);
    }
    return !isDown;
  }

  private endDoubt(): void {
    const { undecided } = this;
    this.isInDoubt = false;
    this.undecided = [];
    undecided.forEach((resolve) => resolve());
  }

  private suspend(reason: string): void {
    this.reason = reason;
    this.isUp = false;
    this.downSinceMs ??= this.context.limits.nowMs();
  }

  private goLive(): void {
    const { downSinceMs, isInDoubt } = this;
    this.downSinceMs = undefined;
    this.endDoubt();
    this.isUp = true;
    this.patienceMs = 0;
    this.health.onAnswer();
    if (isInDoubt) {
      this.setup.onDoubtEnded(this);
    } else {
      this.setup.onLive(this, downSinceMs === undefined ? undefined : this.context.limits.nowMs() - downSinceMs);
    }
  }

  /** Checks a node that is not up. @returns false if it is to be checked again */
  private async tryToGoLive(): Promise<boolean> {
    if (this.isUp || this.isStopped) {
      return true;
    }
    this.setup.beforeProbe?.();
    const client = this.openClient();
    if (client === undefined) {
      return false;
    }
    const wasInDoubt = this.isInDoubt;
    const fault = await this.check(client);
    if (this.isStopped) {
      return true;
    }
    if (this.isInDoubt !== wasInDoubt) {
      return false; // the connection was lost meanwhile
    }
    if (fault === undefined) {
      this.goLive();
    } else {
      this.goDown(CONSEQUENCES.has(fault) ? (this.fault.word ?? fault) : fault);
    }
    return fault === undefined;
  }

  /**
   * Checks a connection that is open but not trusted, and has it prepared. A connection that answers after the deadline
   * is not used, and not cut either: the next check may find it faster. The preparation may take any time, as long as
   * something arrives. A connection on which nothing arrives is cut.
   * @returns why it can't be trusted, in one word; `undefined` if it can
   */
  private async check(client: RedisClient): Promise<string | undefined> {
    const { deadlineMs, commandTimeoutMs } = this.context.limits;
    let bytesBefore = this.bytesRead;
    const answering = requireAnswers(client, this.clock);
    let fault = await faultOf(answering, deadlineMs);
    if (fault === 'timeout' && this.bytesRead === bytesBefore && this.patienceMs > 0) {
      const lateFault = await faultOf(answering, this.patienceMs);
      // A server that was frozen answers late, once: the next question says whether it is slow.
      fault = lateFault === undefined ? await faultOf(requireAnswers(client, this.clock), deadlineMs) : fault;
    }
    if (fault === undefined) {
      const preparing = this.prepare(client);
      do {
        bytesBefore = this.bytesRead;
        fault = await faultOf(preparing, commandTimeoutMs);
      } while (fault === 'timeout' && this.bytesRead !== bytesBefore);
    }
    if (fault === 'timeout') {
      if (this.bytesRead === bytesBefore) {
        this.cut(client);
      }
      // The server, or the way to it, may be slow: the next check takes longer.
      this.patienceMs = Math.min(Math.max(this.patienceMs * 2, deadlineMs), MAX_PATIENCE_MS);
    }
    return fault ?? (client.status === 'ready' ? undefined : 'connection-closed');
  }

  private async prepare(client: RedisClient): Promise<void> {
    await requireMaster(client);
    if (!this.isInDoubt) {
      // A command that is still on its way on the previous connection must not take effect any more.
      // remedy: end-previous-connection
      await this.previous.killFor(client);
    }
    await this.setup.prepare(this, client);
  }
}

export function breakerOpen(operation: string, wasSent = false): TierUnavailableError {
  return new TierUnavailableError(operation, 'breaker-open', wasSent);
}

/** The first pause between two checks of a {@link Probe}, in milliseconds. */
const FIRST_PROBE_MS = 100;

/** Repeats the check of a server until it succeeds, one at a time, with pauses from 100 ms doubling to 1 s, with jitter. */
class Probe {
  private isChecking = false;
  private isStopped = false;
  private delayMs = FIRST_PROBE_MS;
  private timer: NodeJS.Timeout | undefined;

  /** @param check resolves with true when no further check is needed; never rejects */
  constructor(private readonly check: () => Promise<boolean>) {}

  /** Checks now, and returns to the shortest pause: something has changed. */
  restart(): void {
    this.delayMs = FIRST_PROBE_MS;
    void this.run();
  }

  /** Checks after the next pause; replaces a check that is planned already. */
  later(): void {
    clearTimeout(this.timer);
    if (this.isStopped) {
      return;
    }
    this.timer = setTimeout(() => void this.run(), reconnectDelayMs(1) + this.delayMs);
    this.timer.unref();
    this.delayMs = Math.min(this.delayMs * 2, CONNECT_ATTEMPT_MS);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private async run(): Promise<void> {
    if (this.isChecking || this.isStopped) {
      return;
    }
    this.isChecking = true;
    const isDone = await this.check();
    this.isChecking = false;
    if (isDone) {
      this.delayMs = FIRST_PROBE_MS;
    } else {
      this.later();
    }
  }
}
