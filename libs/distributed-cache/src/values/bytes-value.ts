import { isAscii } from 'node:buffer';
import { measureValue } from './measure.js';

/** The memory of the instance, of its buffer and of the buffer's memory block, besides the bytes themselves. */
const OBJECTS_BYTES = 260;

/** The part of the memory of a view that does not grow with the head. */
const VIEW_BYTES = 1200;

/** A reader keeps the text of a body up to this size, too: see {@link shortText}. */
const MAX_TEXT_BYTES = 16 * 1024;

/**
 * A value that is mostly bytes: a small head of plain JSON, and a body. It is stored as `length | head | body`, without
 * a text form of the body. Callers in all modes share it, so neither part may be changed.
 */
export class BytesValue {
  readonly body: Buffer;
  /** What a reader has made of the head, for its next read. It is not stored. */
  view: unknown;

  /**
   * @param body copied unless it is all of its memory block: L1 must not keep memory that it does not count
   * @param isCompressed whether compression can't make the body smaller
   */
  constructor(
    readonly head: Readonly<Record<string, unknown>>,
    body: Uint8Array,
    readonly isCompressed = false,
  ) {
    this.body = Buffer.isBuffer(body) && body.length === body.buffer.byteLength ? body : ownBytes(body);
  }

  /**
   * Estimated memory in bytes: the body exactly, with its text where there may be one, the head, and the view. A head that
   * is small beside its view says in `viewBytes` how large that is.
   */
  get bytes(): number {
    const { body, head, isCompressed } = this;
    const { viewBytes } = head;
    return (
      OBJECTS_BYTES +
      body.length * (body.length <= MAX_TEXT_BYTES && !isCompressed ? 2 : 1) +
      measureValue(head).bytes +
      (typeof viewBytes === 'number' ? viewBytes : BytesValue.viewBytes(head))
    );
  }

  /** The estimated memory of the view of a head: it has the texts of the head once more, and several objects for each. */
  static viewBytes(head: Readonly<Record<string, unknown>>): number {
    return VIEW_BYTES + 2 * measureValue(head).bytes;
  }
}

/**
 * A body of ASCII as text; `undefined` for any other, and for a large one. A short text is sent together with the head
 * of a response, in half of the time that a buffer takes.
 */
export function shortText(body: Buffer): string | undefined {
  return body.length <= MAX_TEXT_BYTES && isAscii(body) ? body.toString('latin1') : undefined;
}

/** A copy in a memory block of its own; `Buffer.from` would take a part of Node's pool. */
function ownBytes(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
