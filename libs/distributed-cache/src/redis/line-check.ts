import type { Redis } from 'ioredis';
import { isCluster, type RedisClient } from './redis-client.js';
import { markAsLine, sendOnLine } from './wire-command.js';

/**
 * The methods of a command in the versions of the client (ioredis 5, to 5.11) of which it is known which of them are called: ours has those. A
 * command with other methods is from another version, which may call them, also where an exception would end the process: on a reply.
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
 * Asks once, on a connection of ours that is open, whether commands can be sent on it in the form that they have on the wire: only then is the
 * client a line. Any other is served by ordinary commands.
 * @param greet sends an ordinary command; where its reply is there, that to the one before has been read, too
 */
export async function checkLine(client: RedisClient, greet: (client: Redis) => Promise<void>): Promise<void> {
  if (isCluster(client)) {
    return;
  }
  if (checked.has(client) || !keepsOrder(client) || hasOtherCommands(client)) {
    return greet(client);
  }
  let isAnswered = false;
  sendOnLine(client, ['ping'], {
    onReply: (reply) => (isAnswered = Buffer.isBuffer(reply)),
    onFailure: ({ name }) => (isAnswered = name === 'ReplyError'), // this user has no right to it, for instance
  });
  await greet(client);
  checked.add(client);
  if (isAnswered) {
    markAsLine(client);
  }
}

/** Whether nothing sorts the commands of a client anew, sends some again, or changes their keys. */
function keepsOrder({ options }: Redis): boolean {
  return options.enableAutoPipelining !== true && options.autoResendUnfulfilledCommands === false && !options.keyPrefix;
}

function hasOtherCommands(client: Redis): boolean {
  let command: unknown;
  const sendCommand = (each: unknown): unknown => (command = each);
  void (Object.create(client, { sendCommand: { value: sendCommand } }) as Redis).ping(); // is made, and not sent
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
