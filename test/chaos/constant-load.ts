import type { AsyncCache, DistributedCache } from '../../libs/distributed-cache/src/core/index.js';
import type { Versioned, VersionedSource } from './versioned-source.js';

/** One process, as far as Redis can tell: a cache with connections and an L1 of its own. */
export interface ChaosNode {
  readonly name: string;
  readonly cache: DistributedCache;
  readonly entries: AsyncCache<Versioned>;
}

/** One call. `waitedMs` is the time that the cache added: the length of the call without that of its loader. */
export interface Call {
  readonly node: string;
  readonly key: string;
  readonly kind: 'get' | 'set' | 'delete';
  readonly askedAtMs: number;
  readonly waitedMs: number;
  readonly error: unknown;
  /** For how long the answer was out of date by an acknowledgement to this node. */
  readonly ownStaleMs: number;
  /** For how long the answer was out of date by an acknowledgement to another node. */
  readonly otherStaleMs: number;
}

const TICK_MS = 10;
/** The longest wait that is allowed on the busiest machine. */
const SETTLE_DEADLINE_MS = 20_000;

/**
 * Calls the cache at the pace of a clock, not of the answers: at each tick for one known key, at every second tick for
 * one that no tier has, at every tenth tick with a `delete` or a `set`. A key is changed by one node only and one
 * change at a time, because the order of two simultaneous changes is not defined.
 */
export class ConstantLoad {
  readonly calls: Call[] = [];
  /** Reads older than an acknowledgement to their own process, for the report. */
  readonly contradictions: string[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #changing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #tick = 0;

  constructor(
    private readonly nodes: readonly ChaosNode[],
    private readonly source: VersionedSource,
    /** The keys that are read repeatedly and changed. */
    readonly keys: readonly string[],
    private readonly random: () => number = Math.random,
    /** The present faults, for the report. */
    private readonly faults: () => string = () => '',
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.#ask(), TICK_MS);
  }

  /** Ends the load. @returns how many calls were never answered */
  stop(): Promise<number> {
    clearInterval(this.#timer);
    return unsettledOf(this.#inFlight);
  }

  /** Keys for which the answer of a node differs from the source, after the last change. */
  async diverged(keys: readonly string[] = this.keys): Promise<string[]> {
    const wrong = this.nodes.flatMap(({ name, entries }) =>
      keys.map(async (key) => {
        const { version } = await entries.getOrSet(key, () => this.source.load(key));
        return version === this.source.current(key) ? [] : [`${name} ${key}`];
      }),
    );
    return (await Promise.all(wrong)).flat();
  }

  #ask(): void {
    const tick = this.#tick++;
    for (const [index, node] of this.nodes.entries()) {
      this.#track(this.#get(node, this.#anyKey()));
      if (tick % 2 === 0) {
        this.#track(this.#get(node, `${this.#anyKey()}:${node.name}:${tick}`));
      }
      const own = Math.floor(this.random() * this.keys.length);
      if (tick % 10 === index % 10 && own % this.nodes.length === index) {
        this.#track(this.#change(node, this.keys[own] ?? '', tick % 20 < 10 ? 'set' : 'delete'));
      }
    }
  }

  #anyKey(): string {
    return this.keys[Math.floor(this.random() * this.keys.length)] ?? '';
  }

  #track(work: Promise<void>): void {
    this.#inFlight.add(work);
    void work.finally(() => this.#inFlight.delete(work));
  }

  async #get({ name, entries }: ChaosNode, key: string): Promise<void> {
    const askedAtMs = performance.now();
    let [loadMs, ownStaleMs, otherStaleMs] = [0, 0, 0];
    let failure: unknown;
    try {
      const { version } = await entries.getOrSet(key, async () => {
        const startedAtMs = performance.now();
        const value = await this.source.load(key);
        loadMs = performance.now() - startedAtMs;
        return value;
      });
      const answer = { key, version, askedAtMs };
      ownStaleMs = this.source.staleMs(answer, (writer) => writer === name);
      otherStaleMs = this.source.staleMs(answer, (writer) => writer !== name);
      if (ownStaleMs > 0) {
        const missed = this.source.current(key) - version;
        this.contradictions.push(
          `${key} by ${name} for ${Math.round(ownStaleMs)} ms, ${missed} versions old, loaded in ${Math.round(loadMs)} ms, after ${this.faults()}`,
        );
      }
    } catch (error) {
      failure = error;
    }
    const waitedMs = performance.now() - askedAtMs - loadMs;
    this.calls.push({ node: name, key, kind: 'get', askedAtMs, waitedMs, error: failure, ownStaleMs, otherStaleMs });
  }

  async #change({ name, entries }: ChaosNode, key: string, kind: 'set' | 'delete'): Promise<void> {
    if (this.#changing.has(key)) {
      return;
    }
    this.#changing.add(key);
    const version = this.source.change(key);
    const askedAtMs = performance.now();
    let failure: unknown;
    try {
      await (kind === 'set' ? entries.set(key, { version }) : entries.delete(key));
      this.source.acknowledge(key, version, name);
    } catch (error) {
      failure = error;
    }
    const waitedMs = performance.now() - askedAtMs;
    this.#changing.delete(key);
    this.calls.push({ node: name, key, kind, askedAtMs, waitedMs, error: failure, ownStaleMs: 0, otherStaleMs: 0 });
  }
}

/** How many of these calls have no answer after a time in which each should have one. */
export async function unsettledOf(calls: ReadonlySet<Promise<void>>): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise((resolve) => {
    timer = setTimeout(resolve, SETTLE_DEADLINE_MS);
  });
  await Promise.race([Promise.all(calls), expiry]);
  clearTimeout(timer);
  return calls.size;
}

/** The message of the last change may still be under way: its caller has the answer of the server only just. */
const MESSAGE_MS = 100;

/**
 * Keys for which a node differs from the source. The time to agree is extended by the time for which the machine was
 * busy since the repair.
 */
export async function untilAgreed(
  load: ConstantLoad,
  busyMs: () => number,
  keys: readonly string[] = load.keys,
): Promise<readonly string[]> {
  const giveUpAtMs = performance.now() + MESSAGE_MS + busyMs();
  let diverged = await load.diverged(keys);
  while (diverged.length > 0 && performance.now() < giveUpAtMs) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    diverged = await load.diverged(keys);
  }
  return diverged;
}
