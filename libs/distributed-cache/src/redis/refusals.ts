import { TierReplyError } from '../errors/index.js';
import { isRefusal, toTierError } from './client-errors.js';
import { CHECK_KEY_END } from './client-options.js';
import type { RedisClient } from './redis-client.js';
import { viaPromise } from './send.js';
import type { ServerNode } from './server-node.js';

/** A command that Redis refuses for now. */
export interface Refusal {
  /** The name of the command, in capital letters. */
  readonly command: string;
  /** The first word of the reply: `NOPERM`, `OOM`, ...; `ERR` for a command that the server does not have. */
  readonly reply: string;
}

/** A refusal, and the names of the servers that refuse: of a cluster, some masters or all of them. */
interface RefusalAtServers extends Refusal {
  readonly servers: readonly string[];
}

interface Noted extends Refusal {
  readonly server: string;
  readonly operations: Set<string>;
}

/** A refusal that ends and comes back within this time, in milliseconds, is not reported again. */
const REPORTED_AGAIN_AFTER_MS = 60_000;

/** Replies that a server gives to every command on a key: one command is noted, not each. */
const OF_EVERY_COMMAND: ReadonlySet<string> = new Set(['MOVED', 'CLUSTERDOWN']);

/**
 * Keeps track of the commands that Redis refuses, per server and command and not per key, and reports each refusal once.
 * A later success of the same operation at the same server, or of the command alone, ends the refusal.
 */
export class Refusals {
  private noted: Noted[] = [];
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
    return this.noted.length > 0;
  }

  /** Whether leases would block loads of this server for nothing: to store under a lease and to release it take scripts. */
  areScriptsRefused(server: string): boolean {
    return this.ofScripts(server) !== undefined;
  }

  /**
   * Why scripts are refused until rights are granted; `undefined` if they are not, or only as long as the server is in
   * its present state (`OOM`, `READONLY`).
   */
  forbidsScripts(server: string): Refusal | undefined {
    const refusal = this.ofScripts(server);
    return refusal?.reply === 'NOPERM' || refusal?.reply === 'ERR' ? refusal : undefined;
  }

  get all(): readonly RefusalAtServers[] {
    const found = new Map<string, Refusal & { readonly servers: string[] }>();
    for (const { command, reply, server } of this.noted) {
      const report = reportOf({ command, reply });
      const known = found.get(report) ?? { command, reply, servers: [] };
      known.servers.push(server);
      found.set(report, known);
    }
    return [...found.values()];
  }

  note({ operation, command = operation, reply, isRefusal: isRefused }: TierReplyError, server: string): void {
    if (!isRefused && (reply !== 'MOVED' || this.isCluster)) {
      return;
    }
    const earlier = this.noted.find(
      (each) =>
        each.server === server && (OF_EVERY_COMMAND.has(reply) ? each.reply === reply : each.command === command),
    );
    if (earlier?.reply === reply) {
      earlier.operations.add(operation);
      return;
    }
    const noted = { command, reply, server, operations: new Set(earlier?.operations).add(operation) };
    this.noted = [...this.noted.filter((each) => each !== earlier), noted];
    const nowMs = performance.now();
    const report = reportOf(noted);
    if (nowMs - (this.reportedAtMs.get(report) ?? -Infinity) >= REPORTED_AGAIN_AFTER_MS) {
      this.reportedAtMs.set(report, nowMs);
      this.onRefused({ command, reply });
    }
  }

  /** Ends the refusals of this operation: all its commands have been carried out. */
  succeed(operation: string, server: string): void {
    this.end((each) => each.server === server && each.operations.has(operation));
  }

  /** Ends the refusals of this command, at every server or at one. */
  allow(command: string, server?: string): void {
    this.end((each) => each.command === command && (server === undefined || each.server === server));
  }

  /** Forgets the refusals of servers that are no longer in use. */
  retain(servers: readonly { readonly name: string }[]): void {
    if (this.areAny) {
      this.noted = this.noted.filter(({ server }) => servers.some(({ name }) => name === server));
    }
  }

  /** Forgets the refusals of all servers, or of one: another server answers from now on. */
  clear(server?: string): void {
    this.noted = this.noted.filter((each) => server !== undefined && each.server !== server);
  }

  /** A node that is used as if it were a single server does not have all keys: only the next connection may change that. */
  private end(isOver: (refusal: Noted) => boolean): void {
    this.noted = this.noted.filter((each) => each.reply === 'MOVED' || !isOver(each));
  }

  private ofScripts(server: string): Refusal | undefined {
    return this.noted.find((each) => each.server === server && (each.command === 'EVAL' || each.command === 'EVALSHA'));
  }
}

function reportOf({ command, reply }: Refusal): string {
  return `${command} ${reply}`;
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
  ['PTTL', (client, key) => client.pttl(key)],
  ['PEXPIRE', (client, key) => client.pexpire(key, 1)],
  ['RENAME', (client, key) => client.rename(key, `${key}:to`)],
  ['EVALSHA', (client, key) => client.evalsha(NO_SCRIPT, 1, key)],
  ['EVAL', (client, key) => client.eval(SCRIPT, 1, key)],
];

type CheckedNode = Pick<ServerNode, 'name' | 'run'>;

/** The part of a `RedisConnection` that a check of its user's rights needs. */
interface CheckedConnection {
  readonly refusals: Refusals;
  readonly topology: {
    readonly nodes: readonly CheckedNode[];
    nodeOf(key: string): { readonly name: string };
  };
}

/** The number of names among which a key of each server is looked for: even a small share of the slots has some. */
const MOST_NAMES = 5000;

/** Each server, with a key of its own that holds nothing. */
function probesOf({ topology }: CheckedConnection, prefix: string): (readonly [CheckedNode, string])[] {
  const { nodes } = topology;
  const keys = new Map<string, string>();
  for (let number = 0; keys.size < nodes.length && number < MOST_NAMES; number++) {
    const key = `${prefix}{${prefix}#check${number || ''}${CHECK_KEY_END}`;
    const { name } = topology.nodeOf(key);
    keys.set(name, keys.get(name) ?? key);
  }
  return nodes.flatMap((node) => {
    const key = keys.get(node.name);
    return key === undefined ? [] : [[node, key] as const];
  });
}

/**
 * Finds out whether scripts are refused, before the first lease is taken: it could not be released then.
 * @param prefix the prefix of all keys, colon included. Rejects only if the connection is lost
 */
export async function probeScripts(connection: CheckedConnection, client: RedisClient, prefix: string): Promise<void> {
  await Promise.all(
    probesOf(connection, prefix).map(async ([{ name }, key]) => {
      const questions = [client.eval('return 1', 1, key), client.evalsha(NO_SCRIPT, 1, key)];
      for (const { reason } of (await Promise.allSettled(questions)) as { readonly reason?: unknown }[]) {
        if (isRefusal(reason)) {
          connection.refusals.note(toTierError('CHECK', reason, 0) as TierReplyError, name);
        }
      }
    }),
  );
}

/**
 * Sends each server every command that the cache needs, on a key that does not exist, so that a refusal is found before
 * the command is needed. The answers are recorded in `connection.refusals`; never rejects.
 * @param prefix the prefix of all keys, colon included
 */
export async function checkPermissions(connection: CheckedConnection, prefix: string): Promise<void> {
  const { refusals } = connection;
  const check = ([node, key]: readonly [CheckedNode, string], [command, ask]: Question): Promise<void> =>
    node
      .run(
        `CHECK ${command}`,
        viaPromise((client) => ask(client, key)),
      )
      .then(
        () => refusals.allow(command, node.name),
        (error: unknown) => {
          if (error instanceof TierReplyError && !error.isRefusal) {
            refusals.allow(command, node.name); // only the key is missing, or the script
          }
        },
      );
  await Promise.all(
    probesOf(connection, prefix).flatMap((probe) => QUESTIONS.map((question) => check(probe, question))),
  );
}
