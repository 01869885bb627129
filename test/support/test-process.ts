import { fork, type ChildProcess } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { dieWithThisProcess } from './child-guard.mjs';

interface Message {
  readonly id?: number;
  readonly answer?: unknown;
  readonly failure?: string;
  readonly started?: string;
  readonly port?: number;
}

/** A program in a process of its own, which answers messages (answer-messages.mjs). It ends with its test. */
export class TestProcess {
  /** The port of a program that is a server. */
  port = 0;
  /** The exit code of a process that ended by itself: an unhandled rejection, too. */
  exitCode: number | null = null;
  private readonly calls = new Map<number, (message: Message) => void>();
  private lastId = 0;

  private constructor(readonly child: ChildProcess) {
    child.on('message', (message: Message) => this.calls.get(message.id ?? 0)?.(message));
    child.once('exit', (code) => {
      this.exitCode = code;
    });
  }

  /**
   * Resolves when the program has sent `{ started: 'process' }`, with its port if it is a server.
   * @param program the path of the file
   */
  static async start(program: string, ...args: readonly string[]): Promise<TestProcess> {
    const child = fork(program, args, { execArgv: [], env: { PATH: process.env['PATH'] } });
    dieWithThisProcess(child);
    onTestFinished(() => void child.kill('SIGKILL'));
    const started = new TestProcess(child);
    started.port = (await started.untilStarted('process')).port ?? 0;
    return started;
  }

  /** The message `{ started }` about this. @throws Error if the process ends before */
  untilStarted(what: string): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.child.on('message', (message: Message) => {
        if (message.started === what) {
          resolve(message);
        }
      });
      this.child.once('exit', (code) => reject(new Error(`the process ended with ${code}`)));
    });
  }

  /** @param action one of those of the program */
  call(action: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.calls.set(id, ({ answer, failure }) => {
        this.calls.delete(id);
        if (failure === undefined) {
          resolve(answer);
        } else {
          reject(new Error(failure));
        }
      });
      this.child.send({ id, action, args });
    });
  }
}
