import type { Redis } from 'ioredis';
import { outageReason, UnusableConnectionError } from './client-errors.js';
import { CONNECT_ATTEMPT_MS } from './client-options.js';
import { withinTime } from './deadline.js';
import { destroySocketOf, hasOtherMaster, isCluster, type RedisClient } from './redis-client.js';
import { allowDirect } from './send.js';
import type { ServerClock } from './server-clock.js';
import { writeCommand } from './wire-command.js';

/**
 * Sends the commands that a server must answer before it is used, and learns its clock. A server that is loading its
 * data answers `TIME` and refuses `PING`.
 */
export async function requireAnswers(client: RedisClient, clock: ServerClock): Promise<void> {
  await Promise.all([requireDatabase(client), clock.learnFrom(client), checkDirect(client, ping)]);
}

/**
 * Asks the Sentinels, if there are any, whether the server that has just answered is still the master; otherwise the
 * connection is cut. Sentinels that do not answer delay the use of the server by a second at most.
 * @throws UnusableConnectionError (`failover`)
 */
export async function requireMaster(client: RedisClient): Promise<void> {
  if (await withinTime(hasOtherMaster(client), CONNECT_ATTEMPT_MS, false, false)) {
    destroySocketOf(client);
    throw new UnusableConnectionError('failover');
  }
}

/**
 * Selects the database of the connection. If the server refuses the client's own SELECT, the client goes on in database
 * 0, which may belong to another deployment: nothing may be written there.
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

/** Sends a PING. The error reply to a user without the right to it is ignored. */
async function ping(client: Redis): Promise<void> {
  try {
    await client.ping();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ReplyError' || /^(LOADING|MASTERDOWN)/.test(error.message)) {
      throw error;
    }
  }
}

/** Waits for a check of a server. @returns why it failed or took too long, in one word; `undefined` if it succeeded */
export function faultOf(check: Promise<void>, deadlineMs: number): Promise<string | undefined> {
  const fault = check.then(
    () => undefined,
    (error: unknown) => outageReason(error),
  );
  return withinTime(fault, deadlineMs, 'timeout', false);
}

/**
 * The methods of a command of ioredis 5, up to 5.11. `WireCommand` has those of them that the client calls. A command
 * with other methods is from another version, which may call them. An exception where the client reads a reply would end
 * the process.
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
 * @param pingAfter sends an ordinary command after the one in wire form: when its reply has arrived, that of the other
 * has been read, too
 */
export async function checkDirect(client: RedisClient, pingAfter: (client: Redis) => Promise<void>): Promise<void> {
  if (isCluster(client)) {
    return;
  }
  if (checked.has(client) || !keepsOrder(client) || hasOtherCommands(client)) {
    return pingAfter(client);
  }
  let isAnswered = false;
  writeCommand(client, ['ping'], {
    onReply: (reply) => (isAnswered = Buffer.isBuffer(reply)),
    onFailure: ({ name }) => (isAnswered = name === 'ReplyError'), // for instance because this user has no right to it
  });
  await pingAfter(client);
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
 * Ends the previous connection at the server, when a new one replaces it. A write that its caller has given up may still
 * be on its way on the previous connection. The server would execute it after later commands, so a `set` from before an
 * outage would overwrite one from after it.
 *
 * The ids of a server begin anew when it restarts, and another server of a failover has ids of its own, so an id alone
 * may belong to any other client. The connection is ended only if its id and the address of the client's end are both
 * the same.
 */
export class PreviousConnection {
  private identity: Identity | undefined;
  private isIdentified = false;

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
    this.isIdentified = true;
  }

  /** Learns the identity of the connection, at the first call. Rejects only if the connection is lost. */
  async identifyOnce(client: RedisClient): Promise<void> {
    if (!this.isIdentified) {
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
