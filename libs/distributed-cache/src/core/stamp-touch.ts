import type { RedisTier } from '../redis/index.js';
import { CLEAR } from './entry-judge.js';
import type { StampBook } from './stamp-book.js';
import { TAG_STAMP, type TagRegistry } from './tag-registry.js';

/** So many stamps of tags are read again at each heartbeat. */
const TOUCHED_AT_ONCE = 256;

/**
 * Reads the stamps of a namespace again that are held here, some tags at a time: to Redis what is never read looks unused, and is
 * evicted first. Never rejects.
 * @param onDifferent told of those that are not what is held, although no message said so; by their encoded keys
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
