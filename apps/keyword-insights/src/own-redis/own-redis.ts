import { randomInt } from 'node:crypto';
import { RedisProcess } from './redis-process.js';

/**
 * Ports below the range from which systems take the local port of outgoing connections: the server can be killed and started
 * again on its port without another connection using it in between.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const ATTEMPTS = 5;

export type OwnRedisState = 'running' | 'frozen' | 'ended';

/**
 * The redis-server that the demo has started for itself: on a free port of 127.0.0.1, without persistence. It ends with the demo
 * in every case. Actions run one after the other; an action that changes nothing, such as `thaw()` of a running server, does nothing.
 */
export class OwnRedis {
  private isFrozen = false;
  private lastAction: Promise<void> = Promise.resolve();

  private constructor(
    private readonly program: string,
    private readonly port: number,
    private server: RedisProcess,
  ) {}

  /**
   * Resolves when the server answers.
   * @param program path of redis-server
   * @throws Error if it does not start, on five ports one after the other
   */
  static async start(program: string): Promise<OwnRedis> {
    for (let attempt = 1; ; attempt += 1) {
      const port = randomInt(FIRST_PORT, LAST_PORT);
      try {
        return new OwnRedis(program, port, await RedisProcess.start(program, port));
      } catch (error) {
        if (attempt === ATTEMPTS) {
          throw error;
        }
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Process id, also of the last process after its end. */
  get pid(): number {
    return this.server.pid;
  }

  get state(): OwnRedisState {
    if (!this.server.isRunning) {
      return 'ended';
    }
    return this.isFrozen ? 'frozen' : 'running';
  }

  /** Stops the process with SIGSTOP: connections stay open, and no command is answered. A server that has ended stays so. */
  freeze(): Promise<void> {
    return this.next(() => this.setFrozen(true));
  }

  /** Lets a frozen process continue. */
  thaw(): Promise<void> {
    return this.next(() => this.setFrozen(false));
  }

  /** Ends the process with SIGKILL, frozen or not: connections end, and new ones are refused. */
  kill(): Promise<void> {
    return this.next(() => this.server.kill());
  }

  /**
   * Starts the server again, empty, on the same port.
   * @throws Error if it does not start, for instance because another program has taken the port
   */
  start(): Promise<void> {
    return this.next(async () => {
      if (!this.server.isRunning) {
        this.server = await RedisProcess.start(this.program, this.port);
        this.isFrozen = false;
      }
    });
  }

  private setFrozen(isFrozen: boolean): void {
    if (this.server.isRunning) {
      this.server.signal(isFrozen ? 'SIGSTOP' : 'SIGCONT');
      this.isFrozen = isFrozen;
    }
  }

  private next(action: () => void | Promise<void>): Promise<void> {
    const done = this.lastAction.then(action);
    this.lastAction = done.catch(() => {}); // its caller gets the error
    return done;
  }
}
