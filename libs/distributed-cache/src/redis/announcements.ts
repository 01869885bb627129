import { randomUUID } from 'node:crypto';

/** Maximum number of keys in one message. */
const KEYS_PER_MESSAGE = 500;

/**
 * The messages by which processes announce their own changes to each other when the server can't or may not track. A
 * message holds names of keys. It is sent by publish and subscribe, after the change that it is about. Changes by other
 * clients and expiries are not announced.
 */
export class Announcements {
  /** A channel, not a key: nothing is stored under it. */
  readonly topic: string;
  /** Identifies this process: its own messages come back to it, and would remove from L1 what it has just stored. */
  private readonly sender = randomUUID();

  /** @param prefix the prefix of all keys, colon included */
  constructor(prefix: string) {
    this.topic = `${prefix}#changed`;
  }

  messagesOf(keys: readonly string[]): string[] {
    const messages: string[] = [];
    for (let from = 0; from < keys.length; from += KEYS_PER_MESSAGE) {
      messages.push(JSON.stringify([this.sender, ...keys.slice(from, from + KEYS_PER_MESSAGE)]));
    }
    return messages;
  }

  /**
   * Reads a message.
   * @returns the keys that another process has changed; `undefined` for a message of this process, or of another format
   */
  keysOf(message: unknown): readonly string[] | undefined {
    try {
      const parsed: unknown = JSON.parse(String(message));
      const [sender, ...keys] = Array.isArray(parsed) ? (parsed as unknown[]) : [];
      return sender !== this.sender && keys.length > 0 && keys.every((key) => typeof key === 'string')
        ? keys
        : undefined;
    } catch {
      return undefined; // another program uses the channel
    }
  }
}
