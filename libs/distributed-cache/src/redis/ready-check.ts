import type { Redis } from 'ioredis';
import { outageReason, UnusableConnectionError } from './client-errors.js';
import { withinTime } from './deadline.js';
import { isCluster, type RedisClient } from './redis-client.js';
import { allowDirect } from './send.js';
import type { ServerClock } from './server-clock.js';
import { writeCommand } from './wire-command.js';

/**
 * Sends the questions that a server must answer before it is used, and learns its clock. A server that is loading its
 * data answers `TIME`, and refuses a PING.
 */
export async function requireAnswers(client: RedisClient, clock: ServerClock): Promise<void> {
  await Promise.all([requireDatabase(client), clock.learnFrom(client), checkDirect(client, greet)]);
}

/**
 * Selects the database of the connection. The client goes on in database 0 if the server refuses its SELECT, and
 * nothing may be written there: it may belong to another deployment.
 * @throws UnusableConnectionError with a reason that names the database
 */
async function requireDatabase(client: RedisClient): Promise<void> {
  const db = isCluster(client) ? undefined : client.options.db;
  if (db === undefined || db === 0) {
    return;
  }
  try {
    await client.select(db);
  } catch (error) {
    throw error instanceof Error && error.name === 'ReplyError'
      ? new UnusableConnectionError(`db ${db} (${outageReason(error)})`)
      : error;
  }
}

/** Sends a PING. For a user without the right to it, the error reply is ignored. */
async function greet(client: Redis): Promise<void> {
  try {
    await client.ping();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ReplyError' || /^(LOADING|MASTERDOWN)/.test(error.message)) {
      throw error;
    }
  }
}

/** Whether `question` succeeds in time. @returns why not, in one word; `undefined` if it does */
export function faultOf(question: Promise<void>, deadlineMs: number): Promise<string | undefined> {
  const answer = question.then(
    () => undefined,
    (error: unknown) => outageReason(error),
  );
  return withinTime(answer, deadlineMs, 'timeout', false);
}

/**
 * The methods of a command in the versions of the client (ioredis 5, up to 5.11) for which it is known which methods
 * the client calls: `WireCommand` has those. A command with other methods is from another version. That version may
 * call them, even where an exception would end the process: when it reads a reply.
 */
const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'constructor',
  'resolve',
  'reject',
  'getSlot',
  'getKeys',
  'toWritable',
  'stringifyArguments',
  'transformReply',
  'setTimeout',
  'setBlockingTimeout',
  'extractBlockingTimeout',
  'initPromise',
  '_clearTimers',
  '_iterateKeys',
  '_convertValue',
]);

const checked = new WeakSet<Redis>();

/**
 * Finds out, once per client, whether commands can be sent on it in their wire form, and makes its sender a direct one
 * if they can. On any other client commands are sent by its own methods.
 * @param greeting sends an ordinary command; when its reply has arrived, the reply to the command before it has been
 * read, too
 */
export async function checkDirect(client: RedisClient, greeting: (client: Redis) => Promise<void>): Promise<void> {
  if (isCluster(client)) {
    return;
  }
  if (checked.has(client) || !keepsOrder(client) || hasOtherCommands(client)) {
    return greeting(client);
  }
  let isAnswered = false;
  writeCommand(client, ['ping'], {
    onReply: (reply) => (isAnswered = Buffer.isBuffer(reply)),
    onFailure: ({ name }) => (isAnswered = name === 'ReplyError'), // for instance because this user has no right to it
  });
  await greeting(client);
  checked.add(client);
  if (isAnswered) {
    allowDirect(client);
  }
}

/** Whether the client keeps the order of commands, sends none of them again, and does not change their keys. */
function keepsOrder({ options }: Redis): boolean {
  return options.enableAutoPipelining !== true && options.autoResendUnfulfilledCommands === false && !options.keyPrefix;
}

function hasOtherCommands(client: Redis): boolean {
  let command: unknown;
  const sendCommand = (each: unknown): unknown => (command = each);
  void (Object.create(client, { sendCommand: { value: sendCommand } }) as Redis).ping(); // the command is made, and not sent
  const isOther = (level: object): boolean =>
    Object.entries(Object.getOwnPropertyDescriptors(level)).some(
      ([name, { value }]) => typeof value === 'function' && !KNOWN_METHODS.has(name),
    );
  let level: unknown = command;
  while (typeof level === 'object' && level !== null && level !== Object.prototype) {
    if (isOther(level)) {
      return true;
    }
    level = Object.getPrototypeOf(level);
  }
  return command === undefined;
}

/** A connection as its server identifies it. */
interface Identity {
  readonly id: string;
  /** Host and port of the client's end. */
  readonly address: string;
}

/**
 * Ends, at the server, the connection that a new one replaces. A write that its caller has given up may still be on its
 * way on the old connection, and would be executed after later commands: a `set` from before an outage over one from
 * after it.
 *
 * The ids of a server begin anew when it restarts, and another server of a failover has ids of its own, so an id alone
 * may belong to any other client. The connection is ended only if its id and the address of the client's end are both
 * the same.
 */
export class PreviousConnection {
  private identity: Identity | undefined;
  private isMet = false;

  /**
   * Ends the connection that `client` had before, and learns the identity of its present one. To be called on each new
   * connection, before an operation is sent on it. Rejects only if the new connection is lost.
   */
  async killFor(client: RedisClient): Promise<void> {
    if (isCluster(client)) {
      return;
    }
    const { identity } = this;
    const [, present] = await Promise.all([
      identity && client.call('client', ['KILL', 'ID', identity.id, 'ADDR', identity.address]).catch(ignoreRefusal),
      identityOf(client),
    ]);
    this.identity = present;
    this.isMet = true;
  }

  /** Learns the identity of the connection, at the first call. Rejects only if it is lost. */
  async meet(client: RedisClient): Promise<void> {
    if (!this.isMet) {
      await this.killFor(client);
    }
  }
}

/**
 * Asks the server for the identity of the connection.
 * @returns `undefined` when the server does not report it, and for a Unix socket, whose ends have no address of their
 * own
 */
async function identityOf(client: Redis): Promise<Identity | undefined> {
  const info = await client.call('client', ['INFO']).catch(ignoreRefusal);
  const [, id, address] = /^id=(\d+) addr=(\S+)/.exec(String(info)) ?? [];
  if (id !== undefined && address !== undefined) {
    return address.endsWith(':0') ? undefined : { id, address };
  }
  const [known, own] = [await client.client('ID').catch(ignoreRefusal), addressOf(client)];
  return known === undefined || own === undefined ? undefined : { id: String(known), address: own };
}

/**
 * The address of the client's end as this process sees it. Behind a proxy the server sees another, and then no
 * connection is ended.
 */
function addressOf({ stream }: Redis): string | undefined {
  const { localAddress, localPort } = stream as { readonly localAddress?: string; readonly localPort?: number };
  if (localAddress === undefined || localPort === undefined) {
    return undefined;
  }
  const host = localAddress.replace(/^::ffff:/, '');
  return host.includes(':') ? `[${host}]:${localPort}` : `${host}:${localPort}`;
}

/** Ignores an error reply: a user without `CLIENT KILL` or `CLIENT INFO` does without this protection. */
function ignoreRefusal(error: Error): undefined {
  if (error.name !== 'ReplyError') {
    throw error;
  }
  return undefined;
}
