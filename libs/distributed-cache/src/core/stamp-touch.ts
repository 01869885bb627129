import type { RedisTier } from '../redis/index.js';
import { CLEAR } from './entry-judge.js';
import type { StampBook } from './stamp-book.js';
import { TAG_STAMP, type TagRegistry } from './tag-registry.js';

/** Number of stamps of tags that are read again at each heartbeat. */
const TOUCHED_AT_ONCE = 256;

/**
 * Reads the held stamps of a namespace again, some tags at a time: Redis takes a key that is never read for unused, and
 * evicts it first. Never rejects.
 * @param onDifferent receives the encoded keys of those that differ from the held ones, although no message said so
 */
export async function touchStamps(
  tier: RedisTier,
  clearStamp: StampBook,
  tags: TagRegistry,
  onDifferent: (encodedKey: string) => void,
): Promise<void> {
  const books = [...tags.someHeld(TOUCHED_AT_ONCE)].map(([name, book]) => ({ key: TAG_STAMP + name, book }));
  const held = [{ key: CLEAR, book: clearStamp }, ...books].flatMap(({ key, book }) => {
    const { reading } = book;
    return reading === undefined ? [] : [{ key, book, reading }];
  });
  await Promise.all(
    tier
      .groups(held, ({ book }) => book.stampKey)
      .map(async (group) => {
        const found = await tier.readStamps(group.map(({ book }) => book.stampKey)).catch(() => undefined);
        group.forEach(({ key, book, reading }, index) => {
          if (found !== undefined && !book.confirms(found[index], reading)) {
            onDifferent(key);
          }
        });
      }),
  );
}
