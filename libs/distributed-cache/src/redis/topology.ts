import type { Cluster, Redis } from 'ioredis';
import { keySlot } from '../keys/index.js';
import { ConnectionFault } from './client-errors.js';
import { isCluster, type RedisClient } from './redis-client.js';
import type { Refusal } from './refusals.js';
import { viaPromise } from './send.js';
import { breakerOpen, ServerNode, type NodeContext, type NodeSetup } from './server-node.js';

/** One server's share of the keys: all of them, or those of one master of a cluster. */
export interface ServerPart {
  owns(key: string): boolean;
  /** Sends as `RedisConnection.run` does, for a key of this part. */
  run<Result>(operation: string, send: (client: RedisClient) => Promise<Result>): Promise<Result>;
}

/** Receives each change of state of the connection, once. */
export interface RedisConnectionListener {
  /**
   * Redis can be used.
   * @param downMs how long it could not be used, in milliseconds; `undefined` at the first connection
   */
  onLive(downMs: number | undefined): void;
  /** Redis can't be used. It may have been in doubt before. */
  onDown(reason: string): void;
  /** The cause of an outage has become known, after {@link onDown} with a reason that says less. At most once. */
  onCause?(reason: string): void;
  /**
   * Redis, or one master of a cluster, was in doubt for a moment, and answers again on the same connection. What was
   * changed meanwhile has not been sent, and is in the part's journal.
   */
  onDoubtEnded?(): void;
  /**
   * Redis answers again and is not trusted yet. The listener does what must be done first: it replays invalidations and
   * sets up the invalidation channel. A rejection means that this failed, and the connection stays down.
   * @param wasInDoubt whether the connection is the same as before: the server and the channel are as they were
   */
  beforeLive?(client: RedisClient, wasInDoubt: boolean): Promise<void>;
  /** Called at each heartbeat while the connection is live. */
  onHeartbeat?(): void;
  /**
   * One master of a cluster can't be used, while others can. Called once more when the cause becomes known.
   * @param name `host:port`
   */
  onNodeDown?(name: string, reason: string): void;
  /**
   * One master of a cluster answers again and is not trusted yet: the same as `beforeLive`, for its part of the keys.
   */
  beforeNodeLive?(part: ServerPart): Promise<void>;
  onNodeLive?(name: string, downMs: number): void;
  /** Redis answers, but refuses a command. */
  onRefused?(refusal: Refusal): void;
  /** Observes the operations, while it is observed itself. */
  readonly operations?: OperationObserver;
}

/** Observes the operations that are sent. */
export interface OperationObserver {
  /** Whether anything listens: otherwise nothing is measured. */
  readonly isObserved: boolean;
  /**
   * @param error what it has failed with; `undefined`: it has been answered
   * @param server of a cluster, the `host:port` of the master; otherwise `redis`
   */
  onEnded(command: string, key: string | undefined, durationMs: number, error: unknown, server: string): void;
}

/**
 * The servers of one connection, and the mapping of keys to them. A single server is a topology of one node.
 *
 * In a cluster each master is a node, so a master that is dead or hung does not delay commands for the keys of the
 * others. A master counts as usable until it fails; then no command is sent to it until it has answered a probe, or has
 * lost its slots. The mapping is the client's table of slots, which the client keeps current (`MOVED`, and a refresh
 * each second).
 */
export class Topology {
  private readonly masters = new Map<string, ServerNode>();
  private cluster: Cluster | undefined;
  private downCount = 0;
  /** The client drops a connection that was lost, and that of a master that has lost its slots. */
  private readonly onNodeLost = (client: Redis): void => {
    this.follow(this.cluster);
    const node = this.masters.get(nameOf(client));
    if (node !== undefined && (node.isUp || node.isInDoubt)) {
      node.fail(node.fault.report('connection-closed'));
    }
  };
  private readonly onNodeError = (error: unknown, name: string): void => this.masters.get(name)?.fault.note(error);

  constructor(
    /** The one server, or the cluster as a whole. */
    private readonly whole: ServerNode,
    private readonly context: NodeContext,
    private readonly listener: RedisConnectionListener,
    /** Called when the number of masters that are down may have changed. */
    private readonly onDownCount: () => void,
  ) {}

  /** The one server, or the masters of a cluster. */
  get nodes(): readonly ServerNode[] {
    return this.masters.size === 0 ? [this.whole] : [...this.masters.values()];
  }

  /** The masters of a cluster that can't be used. */
  get down(): readonly ServerNode[] {
    return [...this.masters.values()].filter(({ isUp }) => !isUp);
  }

  /** Whether no master of a cluster is down or in doubt. */
  get allUp(): boolean {
    return this.downCount === 0;
  }

  /** Whether every master of a cluster has its connection: those that are up, or in doubt. */
  get areAllConnected(): boolean {
    return this.down.every(({ isInDoubt }) => isInDoubt);
  }

  /** The parts of Redis that are independent of each other, one for each node. */
  get parts(): readonly ServerPart[] {
    return this.nodes.map((node) => this.partOf(node));
  }

  /**
   * Adds masters that are new and removes those that have lost all their slots.
   * @param client ignored if it is not a cluster
   */
  follow(client: RedisClient | undefined): void {
    if (client === undefined || !isCluster(client)) {
      return;
    }
    if (this.cluster !== client) {
      this.cluster = client;
      client.on('-node', this.onNodeLost);
      client.on('node error', this.onNodeError);
    }
    const owners = new Set<string>();
    for (const names of client.slots as readonly (readonly string[] | undefined)[]) {
      const owner = names?.[0];
      if (owner !== undefined) {
        owners.add(owner);
      }
    }
    if (owners.size === 0) {
      return; // the client has not loaded the slots yet
    }
    for (const [name, node] of this.masters) {
      if (!owners.has(name)) {
        node.stop();
        this.masters.delete(name);
      }
    }
    owners.forEach((name) => this.master(name, client));
    this.updateDownCount();
  }

  /** The node that holds this key now. Without a key, or a known master, the cluster as a whole. */
  nodeOf(key: string | undefined): ServerNode {
    const { cluster } = this;
    if (cluster === undefined || key === undefined) {
      return this.whole;
    }
    const name = cluster.slots[keySlot(key)]?.[0];
    return name === undefined ? this.whole : this.master(name, cluster);
  }

  /** The connection that commands for this key are written to; `undefined` when it is not known. */
  connectionOf(key: string): Redis | undefined {
    const { client } = this.nodeOf(key);
    return client === undefined || isCluster(client) ? undefined : client;
  }

  /** Groups the items by the node of their keys, each group in the order given. */
  groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly (readonly Item[])[] {
    if (this.cluster === undefined || items.length < 2) {
      return items.length === 0 ? [] : [items];
    }
    const groups = new Map<ServerNode, Item[]>();
    for (const item of items) {
      const node = this.nodeOf(keyOf(item));
      const group = groups.get(node);
      if (group === undefined) {
        groups.set(node, [item]);
      } else {
        group.push(item);
      }
    }
    return [...groups.values()];
  }

  /** Sends `TIME` to each usable node. @returns whether any answered */
  async greet(): Promise<boolean> {
    const usable = this.nodes.filter(({ isUp }) => isUp);
    const answers = await Promise.allSettled(usable.map((node) => node.greet({ isUrgent: true })));
    const isAnswered = answers.some(({ status }) => status === 'fulfilled');
    if (!isAnswered && this.whole.isUp) {
      this.whole.reason = usable[0]?.reason ?? this.whole.reason;
    }
    return isAnswered;
  }

  /** Waits for the operations under way; `undefined` if there are none. */
  drained(): Promise<unknown> | undefined {
    const busy = this.queues.filter(({ inFlight }) => inFlight.size > 0);
    // Answers arrive in order: the answer to this command is the last.
    return busy.length === 0 ? undefined : Promise.allSettled(busy.map((node) => node.greet()));
  }

  /** Fails every operation that waits for one of the nodes. */
  releaseAll(errorFor: (operation: string, wasSent: boolean) => Error): void {
    this.queues.forEach(({ inFlight }) => inFlight.releaseAll(errorFor));
  }

  close(): void {
    this.cluster?.off('-node', this.onNodeLost);
    this.cluster?.off('node error', this.onNodeError);
    this.queues.forEach((node) => node.stop());
    this.masters.clear();
    this.updateDownCount();
  }

  /** The nodes that operations may wait for. */
  private get queues(): readonly ServerNode[] {
    return [this.whole, ...this.masters.values()];
  }

  private master(name: string, cluster: Cluster): ServerNode {
    let node = this.masters.get(name);
    if (node === undefined) {
      node = new ServerNode(this.setupOf(name, cluster), this.context);
      this.masters.set(name, node);
    }
    return node;
  }

  private setupOf(name: string, cluster: Cluster): NodeSetup {
    return {
      name,
      isUp: true,
      fault: new ConnectionFault(),
      findClient: () => cluster.nodes('master').find((client) => nameOf(client) === name),
      beforeProbe: () => this.refreshSlots(),
      // Commands for the keys of a node that is being prepared are not sent through it yet.
      prepare: async (node) =>
        this.listener.beforeNodeLive?.({ ...this.partOf(node), run: (_operation, send) => send(cluster) }),
      onDoubt: (node) => this.onMasterDoubt(node),
      onDoubtEnded: () => {
        this.updateDownCount();
        this.listener.onDoubtEnded?.();
      },
      onDown: (node) => this.onMasterDown(node),
      onCause: ({ reason }) => this.whole.isUp && this.listener.onNodeDown?.(name, reason),
      onLive: (node, downMs) => this.onMasterLive(node, downMs),
    };
  }

  private onMasterDoubt(node: ServerNode): void {
    this.updateDownCount();
    node.inFlight.releaseAll(breakerOpen);
  }

  private onMasterDown(node: ServerNode): void {
    this.onMasterDoubt(node);
    if (this.down.length === this.masters.size && !this.down.some(({ isInDoubt }) => isInDoubt)) {
      this.whole.fail(node.reason);
    } else if (this.whole.isUp) {
      this.listener.onNodeDown?.(node.name, node.reason);
    }
    this.refreshSlots();
  }

  private onMasterLive(node: ServerNode, downMs = 0): void {
    this.updateDownCount();
    node.fault.clear();
    if (this.whole.isUp) {
      this.listener.onNodeLive?.(node.name, downMs);
    } else {
      this.whole.probeNow();
    }
  }

  /** Refreshes the slots earlier than the client would, to find out whether another node has taken over. */
  private refreshSlots(): void {
    const { cluster } = this;
    if (cluster?.status === 'ready') {
      cluster.refreshSlotsCache(() => this.follow(cluster));
    }
  }

  private partOf(node: ServerNode): ServerPart {
    return {
      owns: (key) => this.nodeOf(key) === node,
      run: (operation, send) => node.run(operation, viaPromise(send)),
    };
  }

  private updateDownCount(): void {
    this.downCount = this.down.length;
    this.onDownCount();
  }
}

function nameOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}
