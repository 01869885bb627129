/** The size limits of one piece of a batch. */
export interface PieceLimits<Item> {
  readonly maxItems: number;
  readonly maxBytes: number;
  bytesOf(item: Item): number;
}

/** Number of pieces of a batch that are under way at once: one is on the wire while the next is prepared. */
const PARALLEL_PIECES = 2;

/**
 * Cuts a batch into pieces, in order. An item that is larger than a piece is a piece of its own. A piece is cut when it
 * is asked for, by the limits of that moment.
 */
export function* piecesOf<Item>(items: readonly Item[], limits: PieceLimits<Item>): Generator<readonly Item[]> {
  let piece: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = limits.bytesOf(item);
    if (piece.length > 0 && (piece.length >= limits.maxItems || bytes + size > limits.maxBytes)) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(item);
    bytes += size;
  }
  if (piece.length > 0) {
    yield piece;
  }
}

/**
 * Works on the pieces of a batch in order, {@link PARALLEL_PIECES} at a time. A batch of any size thus takes no more of
 * the queue than that, and each piece has a deadline of its own.
 * @param work must not reject
 */
export async function inPieces<Item>(
  pieces: Iterator<readonly Item[]>,
  work: (piece: readonly Item[]) => Promise<void>,
): Promise<void> {
  const run = async (): Promise<void> => {
    for (let next = pieces.next(); next.done !== true; next = pieces.next()) {
      await work(next.value);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_PIECES }, run));
}

/**
 * `Promise.all` for items that may already be values: when none of them is a promise, the items are returned as they
 * are. That saves one promise per item.
 */
export function allOf<Item>(items: readonly (Item | Promise<Item>)[]): readonly Item[] | Promise<Item[]> {
  return items.some((item) => item instanceof Promise) ? Promise.all(items) : (items as readonly Item[]);
}
