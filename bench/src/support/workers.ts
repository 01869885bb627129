import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { dieWithThisProcess } from '../../../test/support/child-guard.mjs';

const DEADLINE_MS = 30_000;

/** A child process that answers one message at a time. It ends when this process ends, also by a crash. */
export class Worker {
  private readonly child: ChildProcess;

  /** @param module path in the folder of the compiled benchmarks, for instance `workers/storm.js` */
  constructor(module: string, args: readonly string[]) {
    this.child = fork(fileURLToPath(new URL(`../${module}`, import.meta.url)), [...args], {
      execArgv: [],
      serialization: 'advanced', // JSON has no Infinity
    });
    dieWithThisProcess(this.child);
  }

  /** @throws after 30 s, or if the process ends without an answer */
  async ask<Answer>(question: object): Promise<Answer> {
    const { child } = this;
    const settled = new AbortController();
    const signal = AbortSignal.any([settled.signal, AbortSignal.timeout(DEADLINE_MS)]);
    const answer = once(child, 'message', { signal });
    const end = once(child, 'exit', { signal }).then(() => {
      throw new Error(`${child.spawnargs[1]} ended`);
    });
    end.catch(() => {}); // the race reports a rejection; after the race it has no effect
    child.send(question);
    try {
      const [message] = (await Promise.race([answer, end])) as [Answer];
      return message;
    } finally {
      answer.catch(() => {});
      settled.abort();
    }
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await exited;
    }
  }
}

/** In the child process: answers the messages of the parent process, and ends with it. */
export function answerParent(answer: (question: object) => Promise<object>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (question) => {
    answer(question as object).then(
      (result) => process.send?.(result),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
