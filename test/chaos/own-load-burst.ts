import type { ChaosNode } from './constant-load.js';
import type { VersionedSource } from './versioned-source.js';

/** More operations at once than the window of sent commands holds. */
const KEYS = Array.from({ length: 5000 }, (_, index) => `burst:${index}`);
const SAMPLE = KEYS.filter((_, index) => index % 250 === 0);

/** One process that changes and reads thousands of keys at once. Failures of its callers are counted. */
export class OwnLoadBurst {
  errors = 0;
  ownStale = 0;
  calls = 0;
  unsettled = 0;

  constructor(private readonly source: VersionedSource) {}

  /** Some of the keys that a burst changes. */
  get sample(): readonly string[] {
    return SAMPLE;
  }

  async strike({ entries, name }: ChaosNode): Promise<void> {
    const { source } = this;
    await this.#all((key, index) => {
      const version = source.change(key);
      const changed: Promise<unknown> = index % 2 === 0 ? entries.set(key, { version }) : entries.delete(key);
      return changed.then(() => source.acknowledge(key, version, name));
    });
    await this.#all(async (key) => {
      const askedAtMs = performance.now();
      const { version } = await entries.getOrSet(key, () => source.load(key));
      this.ownStale += source.staleMs({ key, version, askedAtMs }, (writer) => writer === name) > 0 ? 1 : 0;
    });
    source.forgetAllButLast(KEYS);
  }

  async #all(call: (key: string, index: number) => Promise<unknown>): Promise<void> {
    this.calls += KEYS.length;
    this.unsettled += KEYS.length;
    const outcomes = await Promise.allSettled(
      KEYS.map((key, index) => call(key, index).finally(() => (this.unsettled -= 1))),
    );
    this.errors += outcomes.filter(({ status }) => status === 'rejected').length;
  }
}
