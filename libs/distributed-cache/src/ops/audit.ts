import { hostname, userInfo } from 'node:os';
import { CacheError } from '../errors/index.js';
import { addToAudit, readAudit, type RedisConnection, RefusedReply } from '../redis/index.js';

/** A change by an operator, and its outcome. */
export interface AuditedChange {
  /** In milliseconds since 1970, by the clock of Redis. */
  readonly atMs: number;
  /** The operator, as the program that made the change knows them: a name, an address of mail. */
  readonly actor: string;
  /** The program, with its host: `cli@host`. */
  readonly origin: string;
  readonly action: 'evict' | 'expire' | 'purge' | 'clear';
  readonly namespace: string;
  /** The keys or the tags. */
  readonly names: readonly string[];
  /** What has come of it: `2 of 3 existed`, `done`, or the name of an error. */
  readonly outcome: string;
}

/** The operator of a change. */
export interface Operator {
  /** Default: the user of the operating system. */
  readonly actor?: string;
  /** Default: the script of this process, with its host. */
  readonly origin?: string;
}

const LONGEST_NAMES = 4000;
const LONGEST_TEXT = 200;

/**
 * The audit trail: the last changes by operators, about 1000, in a stream of Redis under the key prefix. Where the user of
 * Redis has no right to `XADD`, or Redis can't be used, a change is made without a record of it.
 */
export class AuditTrail {
  /** @param prefix the prefix of all keys, colon included */
  constructor(
    private readonly prefix: string,
    private readonly connection: RedisConnection | undefined,
  ) {}

  /** Records a change. Never rejects. @returns why it is not recorded, in one word; `undefined` if it is */
  async record(
    { actor = userName(), origin = defaultOrigin() }: Operator,
    change: Pick<AuditedChange, 'action' | 'namespace' | 'names' | 'outcome'>,
  ): Promise<string | undefined> {
    const { connection, prefix } = this;
    if (connection === undefined) {
      return 'no-redis';
    }
    const { action, namespace, names, outcome } = change;
    const fields = {
      actor: shortened(actor),
      origin: shortened(origin),
      action,
      namespace,
      names: listed(names),
      outcome,
    };
    try {
      const reply = await addToAudit(connection, prefix, fields);
      return reply instanceof RefusedReply ? reply.reason : undefined;
    } catch (error) {
      return unavailable(error);
    }
  }

  /** The last changes, the newest first. Never rejects. */
  async last(count: number): Promise<{ changes: AuditedChange[]; unreadableBecause: string | undefined }> {
    const { connection, prefix } = this;
    if (connection === undefined) {
      return { changes: [], unreadableBecause: 'no-redis' };
    }
    try {
      const lines = await readAudit(connection, prefix, count);
      return lines instanceof RefusedReply
        ? { changes: [], unreadableBecause: lines.reason }
        : { changes: lines.map(([id, pairs]) => changeOf(id, pairs)), unreadableBecause: undefined };
    } catch (error) {
      return { changes: [], unreadableBecause: unavailable(error) };
    }
  }
}

function changeOf(id: string, pairs: readonly string[]): AuditedChange {
  const field = (name: string): string => {
    const at = pairs.indexOf(name);
    return at === -1 ? '' : (pairs[at + 1] ?? '');
  };
  return {
    atMs: Number.parseInt(id, 10),
    actor: field('actor'),
    origin: field('origin'),
    action: field('action') as AuditedChange['action'],
    namespace: field('namespace'),
    names: namesOf(field('names')),
    outcome: field('outcome'),
  };
}

/** The names as JSON, as many as have room. */
function listed(names: readonly string[]): string {
  const kept: string[] = [];
  let length = 0;
  for (const name of names) {
    length += name.length + 4;
    if (length > LONGEST_NAMES) {
      return JSON.stringify([...kept, `and ${names.length - kept.length} more`]);
    }
    kept.push(name);
  }
  return JSON.stringify(kept);
}

function namesOf(text: string): string[] {
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) ? names.map(String) : [];
  } catch {
    return [];
  }
}

function unavailable(error: unknown): string {
  if (error instanceof CacheError) {
    return 'redis-unavailable';
  }
  throw error;
}

function shortened(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown'; // a user without an entry in the system's list, as in some containers
  }
}

function defaultOrigin(): string {
  return `pid ${process.pid} on ${hostname()}`;
}
