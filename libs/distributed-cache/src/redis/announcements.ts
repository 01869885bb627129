import { randomUUID } from 'node:crypto';

/** So many keys go into one message. */
const KEYS_PER_MESSAGE = 500;

/**
 * What processes tell each other of their own changes where the server can't tell: names of keys, by publish and subscribe,
 * each message after the change that it is about. What other clients change, and what expires, nobody announces.
 */
export class Announcements {
  /** A channel, not a key: nothing is stored under it. */
  readonly topic: string;
  /** Our own messages come back, and would drop what we have just stored. */
  private readonly sender = randomUUID();

  /** @param prefix what the names of all keys begin with, colon included */
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

  /** @returns the keys that another process has changed; `undefined` for a message that says nothing to us */
  keysOf(message: unknown): readonly string[] | undefined {
    try {
      const parsed: unknown = JSON.parse(String(message));
      const [sender, ...keys] = Array.isArray(parsed) ? (parsed as unknown[]) : [];
      return sender !== this.sender && keys.length > 0 && keys.every((key) => typeof key === 'string')
        ? keys
        : undefined;
    } catch {
      return undefined; // somebody else uses the channel
    }
  }
}
