import type { Cluster, Redis } from 'ioredis';
import { TierUnavailableError } from '../errors/index.js';
import { keySlot } from '../keys/index.js';
import { ConnectionFault } from './client-errors.js';
import type { ServerPart } from './connection-contract.js';
import { ServerHealth, type InFlight } from './in-flight.js';
import { PreviousConnection } from './previous-connection.js';
import { Probe } from './probe.js';
import { faultOf } from './ready-check.js';
import { bytesReadBy, destroySocketOf, type RedisClient } from './redis-client.js';
import type { SendCost } from './send-queue.js';
import { viaPromise, type ReplyListener, type Send } from './send.js';
import { ServerClock } from './server-clock.js';

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
  private readonly previous = new PreviousConnection();
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
    this.goDown(this.fault.report('connection-closed'));
  }

  /** Asks the node for a sign of life and learns its clock. A node without a connection is only connected to. */
  async greet(): Promise<void> {
    const { client } = this;
    if (client?.status === 'wait') {
      client.connect().catch(() => {}); // a failure shows as the loss of the node
    } else if (client?.status === 'ready') {
      await this.previous.meet(client);
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
    await this.previous.killFor(client);
    await this.clock.learnFrom(client);
    this.hasClock = true;
    await this.deps.beforeLive(this);
  }
}

interface Deps extends Omit<ClusterNodeDeps, 'clientOf' | 'lookAround' | 'beforeLive'> {
  /** Makes a queue; each master has its own. */
  newInFlight(): InFlight;
  /** Sends a command as `RedisConnection` does: it fails with this library's errors. */
  send<Result>(
    operation: string,
    send: Send<Result>,
    listener: ReplyListener<Result>,
    target: RedisClient | undefined,
  ): void;
  beforeLive(part: ServerPart): Promise<void>;
}

/**
 * The masters of a cluster, each with its own availability, and the mapping of keys to masters. The mapping is the
 * client's table of slots, which the client keeps current (`MOVED`, and a refresh each second).
 */
export class ClusterNodes {
  private readonly nodes = new Map<string, ClusterNode>();
  private cluster: Cluster | undefined;
  private readonly onNodeLost = (client: Redis): void => this.lose(nameOf(client));
  private readonly onNodeError = (error: unknown, name: string): void => this.nodes.get(name)?.noteFault(error);
  private downCount = 0;

  constructor(private readonly deps: Deps) {}

  /** Whether no master is down. */
  get allUp(): boolean {
    return this.downCount === 0;
  }

  get areAllDown(): boolean {
    return this.nodes.size > 0 && this.downCount === this.nodes.size;
  }

  get down(): readonly ClusterNode[] {
    return [...this.nodes.values()].filter(({ isDown }) => isDown);
  }

  get all(): readonly ClusterNode[] {
    return [...this.nodes.values()];
  }

  /** Adds masters that are new and removes those that have lost all their slots. */
  follow(cluster: Cluster): void {
    if (this.cluster !== cluster) {
      this.cluster = cluster;
      cluster.on('-node', this.onNodeLost);
      cluster.on('node error', this.onNodeError);
    }
    const owners = new Set<string>();
    for (const names of cluster.slots as readonly (readonly string[] | undefined)[]) {
      const owner = names?.[0];
      if (owner !== undefined) {
        owners.add(owner);
      }
    }
    if (owners.size === 0) {
      return; // the client has not loaded the slots yet
    }
    for (const [name, node] of this.nodes) {
      if (!owners.has(name)) {
        node.stop();
        this.nodes.delete(name);
      }
    }
    owners.forEach((name) => this.node(name));
    this.count();
  }

  /** The master that holds this key now; `undefined` when there is no cluster. */
  ownerOf(key: string): ClusterNode | undefined {
    const name = this.cluster?.slots[keySlot(key)]?.[0];
    return name === undefined ? undefined : this.node(name);
  }

  /**
   * Groups the items by the master of their keys, each group in the order given; one group when there is no cluster.
   */
  groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly (readonly Item[])[] {
    if (this.cluster === undefined || items.length < 2) {
      return items.length === 0 ? [] : [items];
    }
    const groups = new Map<ClusterNode | undefined, Item[]>();
    for (const item of items) {
      const owner = this.ownerOf(keyOf(item));
      const group = groups.get(owner);
      if (group === undefined) {
        groups.set(owner, [item]);
      } else {
        group.push(item);
      }
    }
    return [...groups.values()];
  }

  /** Sends to one master and waits, as `RedisConnection.run` does. Rejects at once when the master is down. */
  run<Result>(node: ClusterNode, operation: string, send: Send<Result>, cost?: SendCost): Promise<Result> {
    return node.isDown
      ? Promise.reject(breakerOpen(operation))
      : node.inFlight.listen(
          operation,
          node.health,
          (waiter: ReplyListener<Result>) => this.deps.send(operation, send, waiter, node.client),
          cost,
        );
  }

  get parts(): readonly ServerPart[] {
    return this.all.map((node) => this.partOf(node));
  }

  /** Asks each usable master for a sign of life; a silent one fails by its timeout. @returns whether any answered */
  async greet(): Promise<boolean> {
    const usable = this.all.filter(({ isDown }) => !isDown);
    const answers = await Promise.allSettled(
      usable.map((node) => node.inFlight.track('TIME', node.health, () => node.greet(), { isUrgent: true })),
    );
    return answers.some(({ status }) => status === 'fulfilled');
  }

  /** Fails every operation that waits for one of the masters. */
  releaseAll(errorFor: (operation: string, wasSent: boolean) => Error): void {
    this.nodes.forEach(({ inFlight }) => inFlight.releaseAll(errorFor));
  }

  close(): void {
    this.cluster?.off('-node', this.onNodeLost);
    this.cluster?.off('node error', this.onNodeError);
    this.nodes.forEach((node) => node.stop());
    this.nodes.clear();
    this.count();
  }

  /** The client also drops the connection to a master that has lost its slots. */
  private lose(name: string): void {
    if (this.cluster !== undefined) {
      this.follow(this.cluster);
    }
    this.nodes.get(name)?.onLost();
  }

  private node(name: string): ClusterNode {
    let node = this.nodes.get(name);
    if (node === undefined) {
      node = new ClusterNode(name, this.deps.newInFlight(), {
        ...this.deps,
        beforeLive: (risen) => this.deps.beforeLive(this.untrustedPartOf(risen)),
        clientOf: (wanted) => this.cluster?.nodes('master').find((client) => nameOf(client) === wanted),
        lookAround: () => this.lookAround(),
        onDown: (fallen) => {
          this.count();
          fallen.inFlight.releaseAll(breakerOpen);
          this.deps.onDown(fallen);
        },
        onLive: (risen, downMs) => {
          this.count();
          this.deps.onLive(risen, downMs);
        },
      });
      this.nodes.set(name, node);
    }
    return node;
  }

  /** Refreshes the slots earlier than the client would, to find out whether another node has taken over. */
  private lookAround(): void {
    const { cluster } = this;
    if (cluster?.status === 'ready') {
      cluster.refreshSlotsCache(() => this.follow(cluster));
    }
  }

  private partOf(node: ClusterNode): ServerPart {
    return {
      owns: (key) => this.ownerOf(key) === node,
      run: (operation, send) => this.run(node, operation, viaPromise(send)),
    };
  }

  /** The part of a node that is being prepared: commands for its keys are not sent through it yet. */
  private untrustedPartOf(node: ClusterNode): ServerPart {
    const { cluster } = this;
    return {
      ...this.partOf(node),
      run: (operation, send) => (cluster === undefined ? Promise.reject(breakerOpen(operation)) : send(cluster)),
    };
  }

  private count(): void {
    this.downCount = this.down.length;
  }
}

function breakerOpen(operation: string, wasSent = false): TierUnavailableError {
  return new TierUnavailableError(operation, 'breaker-open', wasSent);
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}
