import { Command as ClientCommand, type Redis } from 'ioredis';
import { isCluster, type RedisClient } from './redis-client.js';

/** A command's name, in small letters, and its arguments. */
export type Command = readonly [name: string, ...args: (string | number | Buffer)[]];

class UntimedCommand extends ClientCommand {
  override setTimeout(): void {
    // see sendUntimed
  }
}

/** Whether commands that are sent one after the other arrive so, or not at all: nothing sorts them anew or sends some again. */
export function isOneLine(client: RedisClient): client is Redis {
  return (
    !isCluster(client) &&
    client.options.enableAutoPipelining !== true &&
    client.options.autoResendUnfulfilledCommands === false
  );
}

/**
 * Sends a command for which the client sets no timer of its own (`commandTimeout`): whoever waits for it does so under the
 * connection's deadline, and a timer made and cleared for each costs a twentieth of a round trip.
 * @param replyEncoding default `null`: bytes stay bytes
 */
export function sendUntimed(
  client: Redis,
  [name, ...args]: Command,
  replyEncoding: 'utf8' | null = null,
): Promise<unknown> {
  const command = new UntimedCommand(name, args, {
    keyPrefix: client.options.keyPrefix ?? '',
    replyEncoding,
  });
  return client.sendCommand(command) as Promise<unknown>;
}
