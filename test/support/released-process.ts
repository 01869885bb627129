import { join } from 'node:path';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import type { ReleasedLibrary } from './released-library.js';
import { TestProcess } from './test-process.js';

const PROGRAM = join(import.meta.dirname, 'released-process.mjs');

/** A process that uses an earlier version of the library: its namespace `users`. */
export class ReleasedProcess {
  private constructor(private readonly process: TestProcess) {}

  /** Ends with its test. */
  static async start(library: ReleasedLibrary, options: DistributedCacheOptions): Promise<ReleasedProcess> {
    const address = library.addressOf('core/index.js');
    return new ReleasedProcess(await TestProcess.start(PROGRAM, address, JSON.stringify(options)));
  }

  /** @param action one of those in released-process.mjs */
  call(action: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.process.call(action, ...args);
  }

  /** A running load that returns `value` after a call of `release`. */
  async hold(key: string, value: unknown): Promise<{ readonly answer: Promise<unknown> }> {
    const started = this.process.untilStarted(key);
    const answer = this.call('hold', key, value);
    await started;
    return { answer };
  }
}
