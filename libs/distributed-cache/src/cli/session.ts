import { createInterface } from 'node:readline/promises';
import { CacheConfig, ConfigurationError, DistributedCache, type Gathered, PreparedKey } from '../core/index.js';
import { CommandError, EXIT, type ExitCode, type Output, printable, type Terminal } from './output.js';

/** The options that every command has. */
export interface CommonOptions {
  readonly url?: string;
  readonly prefix?: string;
  /** `false`: never ask. */
  readonly input: boolean;
  readonly yes?: boolean;
}

/** What the user has given: the arguments of the command, then its options. */
export interface Given {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** Runs a command. */
export type Run = (session: Session, given: Given) => Promise<ExitCode>;

/** What a command works with: the cache as an observer, which is closed when the command ends, and its output. */
export class Session {
  private readonly caches: DistributedCache[] = [];
  readonly interrupted = new AbortController();

  constructor(
    readonly out: Output,
    private readonly terminal: Terminal,
    private readonly options: CommonOptions,
  ) {}

  /** The variables of the environment and of the file. */
  get env(): NodeJS.ProcessEnv {
    return this.terminal.env;
  }

  /** The configuration of the environment, with the options of the command line. */
  config(): CacheConfig {
    const { url, prefix } = this.options;
    try {
      return CacheConfig.resolve(
        {
          enabled: true,
          local: false,
          requireRedis: false,
          ...(url !== undefined && { redis: { url } }),
          ...(prefix !== undefined && { keyPrefix: prefix }),
        },
        this.terminal.env,
      );
    } catch (error) {
      throw error instanceof ConfigurationError ? new CommandError(EXIT.usage, error.message) : error;
    }
  }

  /** Connects to Redis, without being one of the processes that use the cache. @throws CommandError if it can't */
  async open(): Promise<DistributedCache> {
    const config = this.config();
    const cache = new DistributedCache(config, { observer: true });
    this.caches.push(cache);
    await connectObserver(cache);
    const { connection } = cache.redis ?? {};
    if (connection?.isLive !== true) {
      const reason = connection?.reason ?? 'none is configured';
      throw new CommandError(EXIT.unreachable, `${config.redisPlace ?? 'Redis'} can't be used: ${reason}`);
    }
    return cache;
  }

  async close(): Promise<void> {
    this.out.clearProgress();
    await Promise.all(this.caches.map((cache) => cache.close()));
  }

  /** Requires that the processes could be asked, and tells which have not answered. */
  requireAnswers<Body>({ aloneBecause, silent, unanswered }: Gathered<Body>): void {
    if (aloneBecause !== undefined) {
      throw new CommandError(
        EXIT.unreachable,
        aloneBecause === 'NOPERM'
          ? 'The Redis user may not use the channels of the cache (NOPERM): grant &<prefix>:* and +publish +subscribe'
          : `The processes can't be asked (${aloneBecause})`,
      );
    }
    if (unanswered > 0) {
      const names = silent.map(({ host, pid }) => `${host} pid ${pid}`).join(', ');
      this.out.note(`${unanswered} of the processes did not answer in time${names && `: ${names}`}`);
    }
  }

  /** Requires `--yes`, or the consent of the person at the terminal. */
  async requireConsent(text: string): Promise<void> {
    const { stdin, stderr } = this.terminal;
    const question = printable(text);
    if (this.options.yes === true) {
      return;
    }
    if (!this.options.input || stdin.isTTY !== true || stderr.isTTY !== true) {
      throw new CommandError(EXIT.usage, `${question} Add --yes to do it.`);
    }
    const reader = createInterface({ input: stdin, output: stderr as NodeJS.WritableStream & typeof stderr });
    reader.once('SIGINT', () => this.interrupted.abort()); // the terminal is in raw mode: Ctrl-C is no signal
    const ended = new Promise<string>((resolve) => reader.once('close', () => resolve(''))); // Ctrl-D
    try {
      const answer = await Promise.race([
        reader.question(`${question} [y/N] `, { signal: this.interrupted.signal }),
        ended,
      ]);
      if (!/^y(es)?$/i.test(answer.trim())) {
        throw new CommandError(EXIT.no, 'Nothing was changed.');
      }
    } finally {
      reader.close();
    }
  }
}

/** How long a server that has closed the connection is waited for, in milliseconds. */
const RECONNECT_MS = 2000;

/** The reasons while the connection is made anew, because a replica was asked to write, as after a failover. */
const RECONNECTING = new Set(['connection-closed', 'READONLY']);

/**
 * Connects a cache that only looks. A replica is asked to write at the first attempt, and can be used after the second: it
 * is waited for, two seconds at most. Never rejects.
 */
export async function connectObserver(cache: DistributedCache): Promise<void> {
  const { events } = cache;
  await cache.connect();
  const { connection } = cache.redis ?? {};
  if (connection === undefined || connection.isLive || !RECONNECTING.has(connection.reason)) {
    return;
  }
  await new Promise<void>((resolve) => {
    const off = events.on('redisConnected', () => end());
    const timer = setTimeout(() => end(), RECONNECT_MS);
    const end = (): void => {
      off();
      clearTimeout(timer);
      resolve();
    };
  });
}

/** A percent sign that begins no escape, or a character that an encoded key does not contain. */
const NOT_ENCODED = /%(?![0-9A-F]{2}|[vi(])|[{}\p{Cc}]|^#/u;

/**
 * A key of the command line: as `top --keys` shows it, after `prefix:namespace:` in Redis; any other text is a key as the
 * application gives it.
 */
export function keyOf(text: string): string | PreparedKey {
  return NOT_ENCODED.test(text) ? text : new PreparedKey(text, text);
}
