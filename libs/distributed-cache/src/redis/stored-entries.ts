import { CorruptEntryError } from '../errors/index.js';
import { allOf } from './all-of.js';
import type { Beside, EntryBytes, RedisEntry } from './entry-bytes.js';
import type { RedisConnection } from './redis-connection.js';

const NOTHING_BESIDE: ReadonlyMap<string, Beside> = new Map();

/**
 * Makes entries from the bytes that Redis returned. The values of other programs take a second round trip, one for all
 * of them, within the rest of the first one's deadline: `askedAtMs` is when the first began, by the connection's
 * deadline clock.
 */
export class StoredEntries {
  constructor(
    private readonly connection: RedisConnection,
    private readonly bytes: EntryBytes,
  ) {}

  /**
   * Decodes one entry. The result is a promise only for a large value, which is decompressed off the event loop, and
   * for a value of another program.
   */
  entryIn(
    valueKey: string,
    bytes: Buffer,
    askedAtMs: number,
  ): RedisEntry | undefined | Promise<RedisEntry | undefined> {
    return this.bytes.isOurs(bytes)
      ? this.bytes.decodeOurs(valueKey, bytes)
      : this.lookBeside([valueKey], askedAtMs).then((beside) => this.strangersEntry(valueKey, bytes, beside));
  }

  /**
   * Decodes several entries of one server, in the order of `valueKeys`. An entry that can't be read becomes its error;
   * the others are still returned.
   */
  async entriesIn(
    valueKeys: readonly string[],
    found: readonly (Buffer | null)[],
    askedAtMs: number,
  ): Promise<(RedisEntry | CorruptEntryError | undefined)[]> {
    const strangers = valueKeys.filter((_, index) => this.isStrangers(found[index]));
    const beside = strangers.length === 0 ? NOTHING_BESIDE : await this.lookBeside(strangers, askedAtMs);
    const entries = valueKeys.map((valueKey, index) => this.entryOrError(valueKey, found[index], beside));
    return [...(await allOf(entries))];
  }

  private entryOrError(
    valueKey: string,
    bytes: Buffer | null | undefined,
    beside: ReadonlyMap<string, Beside>,
  ): RedisEntry | CorruptEntryError | undefined | Promise<RedisEntry | CorruptEntryError> {
    if (bytes === null || bytes === undefined) {
      return undefined;
    }
    try {
      if (this.isStrangers(bytes)) {
        return this.strangersEntry(valueKey, bytes, beside);
      }
      const entry = this.bytes.decodeOurs(valueKey, bytes);
      return entry instanceof Promise ? entry.catch(corruptOnly) : entry;
    } catch (error) {
      return corruptOnly(error);
    }
  }

  private isStrangers(bytes: Buffer | null | undefined): boolean {
    return bytes !== null && bytes !== undefined && !this.bytes.isOurs(bytes);
  }

  private strangersEntry(valueKey: string, bytes: Buffer, beside: ReadonlyMap<string, Beside>): RedisEntry | undefined {
    const known = beside.get(valueKey);
    return known && this.bytes.decodePlain(valueKey, bytes, known);
  }

  private async lookBeside(valueKeys: readonly string[], askedAtMs: number): Promise<ReadonlyMap<string, Beside>> {
    const { connection, bytes } = this;
    const looking = connection.run(
      'GET',
      (client) => Promise.all(valueKeys.map(async (key) => [key, await bytes.lookBeside(client, key)] as const)),
      valueKeys[0],
    );
    return new Map(await connection.exchange.withinRest('GET', askedAtMs, looking));
  }
}

function corruptOnly(error: unknown): CorruptEntryError {
  if (error instanceof CorruptEntryError) {
    return error;
  }
  throw error;
}
