import type { AsyncCache, EntryOptions, Loader } from '../../libs/distributed-cache/src/core/index.js';
import { type ChaosNode, unsettledOf } from './constant-load.js';
import type { Versioned, VersionedSource } from './versioned-source.js';

const TICK_MS = 20;
const TAGS = ['tag:0', 'tag:1', 'tag:2'];
const TAGGED = keysOf('tagged', 9);
const BATCH = keysOf('batch', 12);
const EARLY = keysOf('early', 6);
const FAILING = keysOf('failing', 3);
const SKIPPED = keysOf('skipped', 3);
const SHORT_LIVED: EntryOptions<Versioned> = { ttl: '2s' };
const REFRESHED: EntryOptions<Versioned> = { ttl: '1s', refreshAhead: 0.3 };

class FailedOnPurpose extends Error {}

/**
 * The functions that the constant load does not use: tags, batches, early refresh, failing loaders, results that are
 * not stored. As there, a key is changed by one node only and one change at a time.
 */
export class MixedLoad {
  calls = 0;
  ownStale = 0;
  /** The stale reads, for the report. */
  readonly stale: string[] = [];
  readonly errors: unknown[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #changing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly nodes: readonly ChaosNode[],
    private readonly source: VersionedSource,
    private readonly random: () => number,
    /** The present faults, for the report. */
    private readonly faults: () => string,
  ) {}

  /** The keys of which all nodes must have the source's version at the end. */
  readonly keys: readonly string[] = [...TAGGED, ...BATCH, ...EARLY];

  start(): void {
    this.#timer = setInterval(() => this.nodes.forEach((node, index) => this.#act(node, index)), TICK_MS);
  }

  /** Ends the load. @returns how many calls were never answered */
  stop(): Promise<number> {
    clearInterval(this.#timer);
    return unsettledOf(this.#inFlight);
  }

  #act({ name, entries }: ChaosNode, index: number): void {
    const actions: readonly (() => Promise<void>)[] = [
      () => this.#read(name, entries, this.#oneOf(TAGGED)),
      () => this.#read(name, entries, this.#oneOf(EARLY)),
      () => this.#readBatch(name, entries),
      () => this.#invalidate(name, entries, index),
      () => this.#changeBatch(name, entries, index),
      () => this.#changeOne(name, entries, EARLY[index * 2 + Math.floor(this.random() * 2)] ?? ''),
      () => this.#fail(entries),
      () => this.#load(name, entries, this.#oneOf(SKIPPED), { cacheIf: () => false }),
      () => this.#load(name, entries, this.#oneOf(SKIPPED), SHORT_LIVED, (context) => context.skip()),
    ];
    const work = this.#oneOf(actions)().catch((error: unknown) => void this.errors.push(error));
    this.calls += 1;
    this.#inFlight.add(work);
    void work.finally(() => this.#inFlight.delete(work));
  }

  #read(name: string, entries: AsyncCache<Versioned>, key: string): Promise<void> {
    const tag = TAGS[TAGGED.indexOf(key) % TAGS.length];
    return this.#load(name, entries, key, tag === undefined ? REFRESHED : { ...SHORT_LIVED, tags: [tag] });
  }

  async #load(
    name: string,
    entries: AsyncCache<Versioned>,
    key: string,
    options: EntryOptions<Versioned>,
    before: (context: Parameters<Loader<Versioned>>[0]) => void = () => {},
  ): Promise<void> {
    const askedAtMs = performance.now();
    const load: Loader<Versioned> = (context) => {
      before(context);
      return this.source.load(key);
    };
    this.#check(name, key, askedAtMs, await entries.getOrSet(key, load, options));
  }

  async #readBatch(name: string, entries: AsyncCache<Versioned>): Promise<void> {
    const askedAtMs = performance.now();
    const load = (missing: readonly string[]): Promise<Versioned[]> =>
      Promise.all(missing.map((key) => this.source.load(key)));
    const answers = await entries.getOrSetMany(BATCH, load, SHORT_LIVED);
    answers.forEach((answer, index) => this.#check(name, BATCH[index] ?? '', askedAtMs, answer));
  }

  /** The tag of this node: its keys have changed, and the tag invalidates them. */
  #invalidate(name: string, entries: AsyncCache<Versioned>, index: number): Promise<void> {
    const keys = TAGGED.filter((_, at) => at % TAGS.length === index);
    return this.#change(name, keys, () => entries.invalidateTags(TAGS[index] ?? ''));
  }

  #changeBatch(name: string, entries: AsyncCache<Versioned>, index: number): Promise<void> {
    const keys = BATCH.filter((_, at) => at % this.nodes.length === index);
    return this.#change(name, keys, (versions) =>
      this.random() < 0.5
        ? entries.deleteMany(keys)
        : entries.setMany(
            keys.map((key, at) => [key, { version: versions[at] ?? 0 }] as const),
            SHORT_LIVED,
          ),
    );
  }

  #changeOne(name: string, entries: AsyncCache<Versioned>, key: string): Promise<void> {
    return this.#change(name, [key], ([version = 0]) => entries.set(key, { version }, REFRESHED));
  }

  async #change(
    name: string,
    keys: readonly string[],
    apply: (versions: readonly number[]) => Promise<unknown>,
  ): Promise<void> {
    if (keys.some((key) => this.#changing.has(key))) {
      return;
    }
    keys.forEach((key) => this.#changing.add(key));
    try {
      const versions = keys.map((key) => this.source.change(key));
      await apply(versions);
      keys.forEach((key, at) => this.source.acknowledge(key, versions[at] ?? 0, name));
    } finally {
      keys.forEach((key) => this.#changing.delete(key));
    }
  }

  async #fail(entries: AsyncCache<Versioned>): Promise<void> {
    const failure = await entries
      .getOrSet(this.#oneOf(FAILING), () => Promise.reject(new FailedOnPurpose()))
      .catch((error: unknown) => error);
    if (!(failure instanceof FailedOnPurpose)) {
      throw new Error('the error of the loader did not reach its caller', { cause: failure });
    }
  }

  #check(name: string, key: string, askedAtMs: number, { version }: Versioned): void {
    const isOwn = (writer: string): boolean => writer === name;
    const staleMs = this.source.staleMs({ key, version, askedAtMs }, isOwn);
    if (staleMs > 0) {
      this.ownStale += 1;
      this.stale.push(`${key} by ${name} for ${Math.round(staleMs)} ms, after ${this.faults()}`);
    }
  }

  #oneOf<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }
}

function keysOf(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}:${index}`);
}
