import type { LinkDouble } from './link-double.js';
import type { ProcessDouble } from './process-double.js';

export class ModelError extends Error {}

/** A version that a process has to know once this link has delivered the messages up to the position. */
interface Owed {
  readonly key: string;
  readonly version: number;
  readonly link: LinkDouble;
  readonly position: number;
}

/**
 * The source of truth, and the versions that each process must know.
 *
 * The process that invalidates knows at once; the others know once they have received the messages that Redis had sent
 * by then. A process without a connection has to know nothing until it has recovered.
 */
export class Oracle {
  private readonly versions = new Map<string, number>();
  private readonly known = new Map<string, number>();
  private readonly owed = new Map<ProcessDouble, Owed[]>();
  private readonly loading = new Map<string, number[]>();
  private readonly disturbedAt = new Map<string, number>();
  private readonly expiredAt = new Map<string, number>();
  private writing = 0;
  private step = 0;

  constructor(private readonly processes: readonly ProcessDouble[]) {}

  version(key: string): number {
    return this.versions.get(key) ?? 0;
  }

  /** The source changes; the values in the caches are old from here on. */
  change(keys: readonly string[]): void {
    this.writing++;
    for (const key of keys) {
      this.versions.set(key, this.version(key) + 1);
      this.disturb(key);
    }
  }

  /** The cache has carried out the change, and `isEverywhere`: Redis has acknowledged it. */
  changed(by: ProcessDouble, keys: readonly string[], versions: readonly number[], isEverywhere: boolean): void {
    this.writing--;
    for (const [index, key] of keys.entries()) {
      const version = versions[index] ?? 0;
      this.disturb(key);
      this.learn(by, key, version);
      if (isEverywhere) {
        this.owe(by, key, version);
      }
    }
  }

  /** From now on two loads of these keys may overlap, and one of them may store nothing. */
  disturb(key: string): void {
    this.disturbedAt.set(key, ++this.step);
  }

  /** A process has recovered and replayed its journal: all processes must know the versions that it knows. */
  back(process: ProcessDouble, keys: readonly string[]): void {
    for (const key of keys) {
      this.disturb(key);
      this.owe(process, key, this.known.get(this.name(process, key)) ?? 0);
      for (const other of this.processes) {
        this.learn(process, key, other.tracksChanges ? (this.known.get(this.name(other, key)) ?? 0) : 0);
      }
    }
    // The messages that were under way when it lost its link do not count any more: the process begins with nothing.
    this.settle(process);
  }

  /** The oldest version that `process` may return for a read that begins now. */
  oldest(process: ProcessDouble, key: string): number {
    this.settle(process);
    return this.known.get(this.name(process, key)) ?? 0;
  }

  /** For {@link beginLoad}: the time of a call. */
  ask(): number {
    return ++this.step;
  }

  /**
   * @param askedAt when the caller of this loader called: a lease from before a change is void, but its load may still
   * run
   * @returns what ends the load; throws if another load runs that no change has disturbed
   */
  beginLoad(key: string, askedAt: number): () => void {
    const running = this.loading.get(key) ?? [];
    const isAnyCutOff = this.processes.some((process) => process.isDown); // it loads without a lease
    if (isAnyCutOff) {
      this.disturb(key);
    }
    const disturbedAt = this.disturbedAt.get(key) ?? 0;
    if (this.writing === 0 && [...running, askedAt].filter((each) => each > disturbedAt).length > 1) {
      throw new ModelError(`two loads of ${key} at a time`);
    }
    this.loading.set(key, [...running, askedAt]);
    return () => {
      this.loading.set(
        key,
        (this.loading.get(key) ?? []).filter((each) => each !== askedAt),
      );
    };
  }

  /** Redis expires the key. The load that follows must be kept; the result of an earlier one may be lost. */
  expired(key: string): void {
    this.expiredAt.set(key, ++this.step);
  }

  /** Whether the result of a load since then must have been kept. */
  isUndisturbedSince(key: string, step: number): boolean {
    const isOver = (times: ReadonlyMap<string, number>): boolean => (times.get(key) ?? 0) <= step;
    return this.writing === 0 && isOver(this.disturbedAt) && isOver(this.expiredAt);
  }

  private owe(by: ProcessDouble, key: string, version: number): void {
    for (const process of this.processes) {
      if (process !== by) {
        // The message of a clear arrives on the link of its stamp, and either link may be that one.
        for (const link of new Set([process.messageLinkOf(key), process.messageLinkOf('#clear')])) {
          const list = this.owed.get(process) ?? [];
          list.push({ key, version, link, position: process.positionOf(link) });
          this.owed.set(process, list);
        }
      }
    }
  }

  private settle(process: ProcessDouble): void {
    if (!process.tracksChanges) {
      return;
    }
    const list = this.owed.get(process) ?? [];
    const open = list.filter(({ link, position }) => link.received < position);
    for (const { key, version } of list) {
      if (!open.some((other) => other.key === key && other.version === version)) {
        this.learn(process, key, version);
      }
    }
    this.owed.set(process, open);
  }

  private learn(process: ProcessDouble, key: string, version: number): void {
    const name = this.name(process, key);
    this.known.set(name, Math.max(this.known.get(name) ?? 0, version));
  }

  private name(process: ProcessDouble, key: string): string {
    return `${this.processes.indexOf(process)}:${key}`;
  }
}
