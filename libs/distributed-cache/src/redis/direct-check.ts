import type { Redis } from 'ioredis';
import { isCluster, type RedisClient } from './redis-client.js';
import { allowDirect } from './send.js';
import { writeCommand } from './wire-command.js';

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
 * @param greet sends an ordinary command; when its reply has arrived, the reply to the command before it has been read,
 * too
 */
export async function checkDirect(client: RedisClient, greet: (client: Redis) => Promise<void>): Promise<void> {
  if (isCluster(client)) {
    return;
  }
  if (checked.has(client) || !keepsOrder(client) || hasOtherCommands(client)) {
    return greet(client);
  }
  let isAnswered = false;
  writeCommand(client, ['ping'], {
    onReply: (reply) => (isAnswered = Buffer.isBuffer(reply)),
    onFailure: ({ name }) => (isAnswered = name === 'ReplyError'), // for instance because this user has no right to it
  });
  await greet(client);
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
