import { TierReplyError } from '../errors/index.js';
import { isRefusal, toTierError } from './client-errors.js';
import type { RedisClient } from './redis-client.js';

/** A command that Redis refuses for now. */
export interface Refusal {
  /** The name of the command, in capital letters. */
  readonly command: string;
  /** The first word of the reply: `NOPERM`, `OOM`, ...; `ERR` for a command that the server does not have. */
  readonly reply: string;
}

interface Noted extends Refusal {
  readonly operations: Set<string>;
}

/** A refusal that ends and comes back within this time, in milliseconds, is not reported again. */
const REPORTED_AGAIN_AFTER_MS = 60_000;

/**
 * Keeps track of the commands that Redis refuses, per command and not per key, and reports each refusal once. A later
 * success of the same operation, or of the command alone, ends the refusal.
 */
export class Refusals {
  private readonly noted = new Map<string, Noted>();
  private readonly reportedAtMs = new Map<string, number>();

  /**
   * @param onRefused called for each refusal, at most once a minute
   * @param isCluster whether the client follows `MOVED`, as a cluster's client does; any other client is connected to a
   * node that does not have all keys, for as long as the connection lasts
   */
  constructor(
    private readonly onRefused: (refusal: Refusal) => void,
    private readonly isCluster: boolean,
  ) {}

  get areAny(): boolean {
    return this.noted.size > 0;
  }

  /** Whether leases would block loads for nothing: to store under a lease and to release it take scripts. */
  get areScriptsRefused(): boolean {
    return this.ofScripts !== undefined;
  }

  /**
   * Why scripts are refused until rights are granted; `undefined` if they are not, or only as long as the server is in
   * its present state (`OOM`, `READONLY`).
   */
  get forbidsScripts(): Refusal | undefined {
    const { ofScripts } = this;
    return ofScripts?.reply === 'NOPERM' || ofScripts?.reply === 'ERR' ? ofScripts : undefined;
  }

  get all(): readonly Refusal[] {
    return [...this.noted.values()].map(({ command, reply }) => ({ command, reply }));
  }

  note({ operation, command = operation, reply, isRefusal: isRefused }: TierReplyError): void {
    const isElsewhere = reply === 'MOVED' && !this.isCluster;
    if (!isRefused && (!isElsewhere || this.all.some((each) => each.reply === reply))) {
      return;
    }
    const earlier = this.noted.get(command);
    this.noted.set(command, { command, reply, operations: (earlier?.operations ?? new Set()).add(operation) });
    const nowMs = performance.now();
    const report = `${command} ${reply}`;
    if (earlier?.reply !== reply && nowMs - (this.reportedAtMs.get(report) ?? -Infinity) >= REPORTED_AGAIN_AFTER_MS) {
      this.reportedAtMs.set(report, nowMs);
      this.onRefused({ command, reply });
    }
  }

  /** Ends the refusals of this operation: all its commands have been carried out. */
  succeed(operation: string): void {
    for (const { command, operations } of this.noted.values()) {
      if (operations.has(operation)) {
        this.allow(command);
      }
    }
  }

  allow(command: string): void {
    if (this.noted.get(command)?.reply !== 'MOVED') {
      this.noted.delete(command);
    }
  }

  private get ofScripts(): Refusal | undefined {
    return this.noted.get('EVAL') ?? this.noted.get('EVALSHA');
  }

  /** Forgets all refusals: another server answers from now on. */
  clear(): void {
    this.noted.clear();
  }
}

/** The commands that a load runs inside a script. */
const SCRIPT = `
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '', 'XX', 'PX', 1)
redis.call('PEXPIRE', KEYS[1], 1)
redis.call('DEL', KEYS[1])
return 1`;

const NO_SCRIPT = '0'.repeat(40);

type Question = readonly [command: string, ask: (client: RedisClient, key: string) => Promise<unknown>];

/** The commands that the cache needs, each asked on a key of the cache. None of them creates a key. */
const QUESTIONS: readonly Question[] = [
  ['GET', (client, key) => client.get(key)],
  ['SET', (client, key) => client.call('set', [key, '', 'XX', 'PX', '1'])],
  ['DEL', (client, key) => client.del(key)],
  ['PEXPIRE', (client, key) => client.pexpire(key, 1)],
  ['RENAME', (client, key) => client.rename(key, `${key}:to`)],
  ['EVALSHA', (client, key) => client.evalsha(NO_SCRIPT, 1, key)],
  ['EVAL', (client, key) => client.eval(SCRIPT, 1, key)],
];

/** The part of a `RedisConnection` that a check of its user's rights needs. */
interface CheckedConnection {
  readonly refusals: Refusals;
  run(operation: string, send: (client: RedisClient) => Promise<unknown>, key: string): Promise<unknown>;
}

function probeKeyOf(prefix: string): string {
  return `${prefix}{${prefix}#check}:check`;
}

/**
 * Finds out whether scripts are refused, before the first lease is taken: it could not be released then.
 * @param prefix the prefix of all keys, colon included. Rejects only if the connection is lost
 */
export async function probeScripts(connection: CheckedConnection, client: RedisClient, prefix: string): Promise<void> {
  const key = probeKeyOf(prefix);
  const questions = [client.eval('return 1', 1, key), client.evalsha(NO_SCRIPT, 1, key)];
  for (const { reason } of (await Promise.allSettled(questions)) as { readonly reason?: unknown }[]) {
    if (isRefusal(reason)) {
      connection.refusals.note(toTierError('CHECK', reason, 0) as TierReplyError);
    }
  }
}

/**
 * Sends Redis every command that the cache needs, on a key that does not exist, so that a refusal is found before the
 * command is needed. The answers are recorded in `connection.refusals`; never rejects.
 * @param prefix the prefix of all keys, colon included
 */
export async function checkPermissions(connection: CheckedConnection, prefix: string): Promise<void> {
  const key = probeKeyOf(prefix);
  await Promise.all(
    QUESTIONS.map(([command, ask]) =>
      connection
        .run(`CHECK ${command}`, (client) => ask(client, key), key)
        .then(
          () => connection.refusals.allow(command),
          (error: unknown) => {
            if (error instanceof TierReplyError && !error.isRefusal) {
              connection.refusals.allow(command); // only the key is missing, or the script
            }
          },
        ),
    ),
  );
}
