import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { dieWithThisProcess } from './child-guard.mjs';
import type { ReleasedLibrary } from './released-library.js';

interface Message {
  readonly id?: number;
  readonly answer?: unknown;
  readonly failure?: string;
  readonly started?: string;
}

/** A process that uses an earlier version of the library: its namespace `users`. */
export class ReleasedProcess {
  private readonly calls = new Map<number, (message: Message) => void>();
  private readonly starts = new Map<string, () => void>();
  private lastId = 0;

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (message: Message) => {
      if (message.started !== undefined) {
        this.starts.get(message.started)?.();
      } else {
        this.calls.get(message.id ?? 0)?.(message);
      }
    });
  }

  /** Ends with its test. */
  static async start(library: ReleasedLibrary, options: DistributedCacheOptions): Promise<ReleasedProcess> {
    const child = fork(
      join(import.meta.dirname, 'released-process.mjs'),
      [library.addressOf('core/index.js'), JSON.stringify(options)],
      { execArgv: [], env: { PATH: process.env['PATH'] } },
    );
    dieWithThisProcess(child);
    onTestFinished(() => void child.kill('SIGKILL'));
    const started = new ReleasedProcess(child);
    await started.untilStarted('process');
    return started;
  }

  /** @param action one of those in released-process.mjs */
  call(action: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.calls.set(id, ({ answer, failure }) => {
        if (failure === undefined) {
          resolve(answer);
        } else {
          reject(new Error(failure));
        }
      });
      this.child.send({ id, action, args });
    });
  }

  /** A running load that returns `value` after a call of `release`. */
  async hold(key: string, value: unknown): Promise<{ readonly answer: Promise<unknown> }> {
    const started = this.untilStarted(key);
    const answer = this.call('hold', key, value);
    await started;
    return { answer };
  }

  private untilStarted(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.starts.set(what, resolve);
      this.child.once('exit', (code) => reject(new Error(`the process of the earlier version ended with ${code}`)));
    });
  }
}
