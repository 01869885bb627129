import type { RedisConnection } from './redis-connection.js';
import { requireDone, sendRequest, type Command, type Request } from './send.js';
import type { ServerPart } from './topology.js';

/** The changes of one process that make the copies of other regions outdated; a load, for one, does not. */
const CHANGES: ReadonlySet<string> = new Set(['SET', 'UNLINK', 'EXPIRE', 'STAMP']);

/** Number of lines of the outbox; Redis keeps somewhat more. */
const OUTBOX_LENGTH = 100_000;
/** Maximum number of keys in one line, so that a line stays under 52 KB. */
const KEYS_PER_LINE = 100;
/** How often the names of the namespaces are saved again. */
const SAVE_AGAIN_MS = 60_000;
/** The name of each field of a line; its value is a change: the name of a key without the prefix. */
export const CHANGE_FIELD = 'k';

/** The relay of this process. */
export interface RunningRelay {
  /** Whether this process reads the outbox, and what does not work, in words for an operator. */
  readonly state: { readonly leads: boolean; readonly problems: readonly string[] };
  close(): Promise<void>;
}

/**
 * The outbox of a region: a stream of Redis with the names of the keys that the processes of this region have changed, for
 * the relay to other regions. A line is sent just before its change, in the same write, and the change counts as done
 * only when Redis has both. So each acknowledged change is in the outbox, also in a cluster, where the two go to
 * different servers. A line may be there without its change, when the process was killed in between: an invalidation
 * too many.
 *
 * The braces make it an auxiliary key: the message about its change concerns no namespace.
 */
export class Outbox {
  /** The key of the stream. The other keys of the relay begin with it, and are in its slot. */
  readonly key: string;
  /** Set by the relay itself. */
  relay: RunningRelay | undefined;
  private readonly names = new Set<string>();
  private savedAtMs = -Infinity;
  private readonly listeners = new Set<() => void>();

  /** @param prefix the prefix of all keys, colon included */
  constructor(
    private readonly prefix: string,
    private readonly connection: RedisConnection,
  ) {
    this.key = `${prefix}{#relay}`;
  }

  /** Writes the line of a change. @returns `undefined` for an operation that concerns no other region */
  record(operation: string, keys: readonly string[]): Promise<void> | undefined {
    return CHANGES.has(operation)
      ? this.connection.request('RELAY', this.key, () => this.adding(keys)).then(() => this.wake())
      : undefined;
  }

  /**
   * As {@link record}, for changes that were made during an outage.
   * @param run as `ServerPart.run`: the connection need not be trusted yet
   * @returns whether it is done; if not, the changes must stay in the journal: a cluster may be without this server
   */
  async replay(keys: readonly string[], run: ServerPart['run']): Promise<boolean> {
    try {
      await run('RELAY', (client) => sendRequest(client, this.adding(keys)));
      this.wake();
      return true;
    } catch {
      return false;
    }
  }

  /** Remembers, for all processes of this region, that a namespace is in use. */
  join(namespace: string): void {
    this.names.add(namespace);
    if (this.connection.isLive) {
      this.saveNames([namespace]);
    }
  }

  /** Redis can be used (again); it may be another one, or emptied. */
  onLive(): void {
    this.savedAtMs = performance.now();
    this.saveNames([...this.names]);
  }

  /** Called at each heartbeat. The names are saved again now and then: Redis may have evicted them. */
  onHeartbeat(): void {
    if (performance.now() - this.savedAtMs > SAVE_AGAIN_MS) {
      this.onLive();
    }
  }

  /** The namespaces that are in use in this region, or were. @throws as `RedisConnection.run` */
  async namespaces(): Promise<string[]> {
    const names = await this.connection.run('RELAY', (client) => client.smembers(this.namesKey), this.namesKey);
    return [...new Set([...names, ...this.names])];
  }

  /** Others have changed these keys. */
  onChanged(keys: readonly string[] | undefined): void {
    if (this.listeners.size > 0 && keys?.some((key) => key.startsWith(this.key)) !== false) {
      this.wake();
    }
  }

  /** Calls the listener when one of the streams may have a new line. @returns a function that removes it */
  onWake(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private get namesKey(): string {
    return `${this.key}:namespaces`;
  }

  private wake(): void {
    this.listeners.forEach((listener) => listener());
  }

  private adding(keys: readonly string[]): Request<void> {
    const commands: Command[] = [];
    for (let from = 0; from < keys.length; from += KEYS_PER_LINE) {
      const fields = keys
        .slice(from, from + KEYS_PER_LINE)
        .flatMap((key) => [CHANGE_FIELD, key.slice(this.prefix.length)]);
      commands.push(['xadd', this.key, 'MAXLEN', '~', OUTBOX_LENGTH, '*', ...fields]);
    }
    return { commands, resultOf: requireDone };
  }

  /** A refusal shows in health. A name that is lost with the connection is sent again with the next one. */
  private saveNames(names: readonly string[]): void {
    if (names.length > 0) {
      const { connection, namesKey } = this;
      connection.run('RELAY', (client) => client.sadd(namesKey, ...names), namesKey).catch(() => {});
    }
  }
}
