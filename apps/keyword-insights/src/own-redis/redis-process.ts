import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { redisAnswers } from './redis-answers.js';

const START_DEADLINE_MS = 10_000;
const POLL_MS = 20;

/**
 * Runs redis-server, prints its process id, and kills it when the standard input ends. The standard input is a pipe to the
 * demo: it ends with the demo, also after a SIGKILL, which no code of the demo can react to.
 */
const SUPERVISOR = `
  exec 3<&0
  "$@" </dev/null >/dev/null 2>&1 3<&- &
  server=$!
  echo "$server"
  { read -r line <&3; kill -9 "$server"; } >/dev/null 2>&1 &
  guard=$!
  wait "$server"
  kill -9 "$guard"
  wait
`;

/** One run of a redis-server, which can't outlive this process. */
export class RedisProcess {
  /** @param pid of redis-server itself, which gets the signals; the shell around it gets none */
  private constructor(
    private readonly supervisor: ChildProcess,
    readonly pid: number,
  ) {}

  /**
   * Resolves when the server answers on the port of 127.0.0.1.
   * @param program path of redis-server
   * @throws Error if the server does not answer within ten seconds, or ends before, for instance because the port is taken
   */
  static async start(program: string, port: number): Promise<RedisProcess> {
    const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no'];
    const supervisor = spawn('sh', ['-c', SUPERVISOR, 'redis-supervisor', program, ...options], {
      // Nothing is written there; the folder of the demo stays free to be removed.
      cwd: tmpdir(),
      // A process group of its own: the Ctrl-C that ends the demo must not end Redis before the pending requests are answered.
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(supervisor, 'spawn');
    const [firstLine] = (await once(supervisor.stdout, 'data')) as [Buffer];
    const server = new RedisProcess(supervisor, Number.parseInt(firstLine.toString(), 10));
    await server.untilItAnswers(port);
    // Neither the shell nor its pipes keep the event loop of the demo alive.
    supervisor.stdout.destroy();
    supervisor.unref();
    return server;
  }

  get isRunning(): boolean {
    return this.supervisor.exitCode === null && this.supervisor.signalCode === null;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    try {
      process.kill(this.pid, name);
    } catch {
      // It has ended at this moment; `isRunning` tells soon.
    }
  }

  /** Resolves when the process has ended, frozen or not. */
  async kill(): Promise<void> {
    if (this.isRunning) {
      const ended = once(this.supervisor, 'exit');
      this.supervisor.stdin?.destroy();
      await ended;
    }
  }

  private async untilItAnswers(port: number): Promise<void> {
    const giveUpAtMs = performance.now() + START_DEADLINE_MS;
    // The process id tells this server from another program that has taken the port.
    const itself = new RegExp(`process_id:${this.pid}\\r`);
    while (!(await redisAnswers('127.0.0.1', port, 'INFO server', itself))) {
      if (!this.isRunning || performance.now() > giveUpAtMs) {
        await this.kill();
        throw new Error(`redis-server did not start on port ${port} of 127.0.0.1.`);
      }
      await delay(POLL_MS);
    }
  }
}
