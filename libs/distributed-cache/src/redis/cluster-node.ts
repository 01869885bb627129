import type { Redis } from 'ioredis';
import { ConnectionFault } from './connection-fault.js';
import { FormerConnection } from './former-connection.js';
import { ServerHealth, type InFlight } from './in-flight.js';
import { Probe } from './probe.js';
import { bytesReadBy, destroySocketOf } from './redis-client.js';
import { ServerClock } from './server-clock.js';
import { faultOf } from './trial.js';

/** What a {@link ClusterNode} needs from the cluster that it belongs to. */
export interface ClusterNodeDeps {
  readonly deadlineMs: number;
  readonly nowMs: () => number;
  /** The client's connection to this node; `undefined` while it has none. */
  clientOf(name: string): Redis | undefined;
  /** Looks for changes of the cluster: another node may have taken over. */
  lookAround(): void;
  /** The node takes no commands from now on; the callers that wait for it are to be released. */
  onDown(node: ClusterNode): void;
  /** The node answers again and is not trusted yet. A rejection means that it can't be prepared. */
  beforeLive(node: ClusterNode): Promise<void>;
  onLive(node: ClusterNode, downMs: number): void;
}

/**
 * One master of a cluster, with an availability of its own: a master that is dead or hung does not delay commands for
 * the keys of the others. A master counts as usable until it fails; then no command is sent to it until it has answered
 * a probe, or has lost its slots.
 */
export class ClusterNode {
  readonly health = new ServerHealth(
    () => (this.client === undefined ? 0 : bytesReadBy(this.client)),
    (isSilent) => this.onUnusable(isSilent),
  );
  private readonly former = new FormerConnection();
  private readonly probe = new Probe(() => this.tryToGoLive());
  private readonly clock: ServerClock;
  private currentClient: Redis | undefined;
  private downAtMs: number | undefined;
  private lastReason = '';
  private readonly fault = new ConnectionFault();
  private isStopped = false;
  private hasClock = false;

  constructor(
    /** `host:port`, as in the cluster's table of slots. */
    readonly name: string,
    /** The commands that were sent to the node and are unanswered, and those that are queued. */
    readonly inFlight: InFlight,
    private readonly deps: ClusterNodeDeps,
  ) {
    this.clock = new ServerClock(deps.nowMs);
  }

  get isDown(): boolean {
    return this.downAtMs !== undefined;
  }

  /** The time since when the node can't be used, on this process's clock; `undefined` while it can be used. */
  get downSinceMs(): number | undefined {
    return this.downAtMs;
  }

  /** Why the node was marked as down, in one word. */
  get reason(): string {
    return this.lastReason;
  }

  /** The clock of this server; `undefined` before its first answer. */
  get serverClock(): ServerClock | undefined {
    return this.hasClock ? this.clock : undefined;
  }

  get client(): Redis | undefined {
    const { currentClient } = this;
    if (currentClient === undefined || currentClient.status === 'end') {
      this.currentClient = this.deps.clientOf(this.name);
    }
    return this.currentClient;
  }

  /** Records an error of the client: it is the reason if the connection is lost next. */
  noteFault(error: unknown): void {
    this.fault.note(error);
  }

  /** The connection to the node is lost. */
  onLost(): void {
    this.goDown(this.fault.tell('connection-closed'));
  }

  /** Asks the node for a sign of life and learns its clock. A node without a connection is only connected to. */
  async greet(): Promise<void> {
    const { client } = this;
    if (client?.status === 'wait') {
      client.connect().catch(() => {}); // a failure shows as the loss of the node
    } else if (client?.status === 'ready') {
      await this.former.meet(client);
      await this.clock.learnFrom(client);
      this.hasClock = true;
    }
  }

  stop(): void {
    this.isStopped = true;
    this.probe.stop();
  }

  private onUnusable(isSilent: boolean): void {
    if (!this.isDown) {
      this.goDown('timeout');
      if (isSilent) {
        this.cut();
      }
    }
  }

  private goDown(reason: string): void {
    if (this.isDown || this.isStopped) {
      return;
    }
    this.lastReason = reason;
    this.downAtMs = this.deps.nowMs();
    this.deps.onDown(this);
    this.probe.restart();
  }

  private cut(): void {
    const { client } = this;
    if (client !== undefined) {
      destroySocketOf(client);
    }
  }

  /** Probes a node that is down. @returns false if it is to be asked again */
  private async tryToGoLive(): Promise<boolean> {
    const { deps } = this;
    if (this.downAtMs === undefined || this.isStopped) {
      return true;
    }
    deps.lookAround();
    const { client } = this;
    if (client?.status === 'wait') {
      client.connect().catch(() => {});
    }
    if (client?.status !== 'ready') {
      return false;
    }
    const bytesBefore = bytesReadBy(client);
    const fault = await faultOf(this.prepare(client), deps.deadlineMs);
    if (fault !== undefined) {
      if (fault === 'timeout' && bytesReadBy(client) === bytesBefore) {
        this.cut();
      }
      return false;
    }
    if (client.status !== 'ready' || this.isStopped) {
      return this.isStopped;
    }
    const downMs = deps.nowMs() - this.downAtMs;
    this.downAtMs = undefined;
    this.fault.clear();
    this.health.onAnswer();
    deps.onLive(this, downMs);
    return true;
  }

  private async prepare(client: Redis): Promise<void> {
    await this.former.replaceBy(client);
    await this.clock.learnFrom(client);
    this.hasClock = true;
    await this.deps.beforeLive(this);
  }
}
