import { Transform, type TransformCallback } from 'node:stream';

const MESSAGE = Buffer.from('*3\r\n$7\r\nmessage\r\n');

/**
 * Passes on the output of a Redis server frame by frame, and drops the messages of subscriptions while
 * `dropsMessages()`: the connection is open and answers PING, but receives no message.
 */
export class PubSubFilter extends Transform {
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly dropsMessages: () => boolean) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let to = endOfFrame(bytes, from); to !== undefined; to = endOfFrame(bytes, from)) {
      const frame = bytes.subarray(from, to);
      from = to;
      if (!this.dropsMessages() || !frame.subarray(0, MESSAGE.length).equals(MESSAGE)) {
        this.push(frame);
      }
    }
    this.#rest = bytes.subarray(from);
    done();
  }
}

/** Where the RESP2 frame that begins at `from` ends; `undefined` while a part of it is missing. */
function endOfFrame(bytes: Buffer, from: number): number | undefined {
  const lineEnd = bytes.indexOf('\r\n', from);
  if (lineEnd < 0) {
    return undefined;
  }
  const afterLine = lineEnd + 2;
  const count = Number(bytes.toString('latin1', from + 1, lineEnd));
  switch (String.fromCharCode(bytes[from] ?? 0)) {
    case '$': {
      const end = count < 0 ? afterLine : afterLine + count + 2;
      return end <= bytes.length ? end : undefined;
    }
    case '*': {
      let end: number | undefined = afterLine;
      for (let index = 0; index < count && end !== undefined; index++) {
        end = endOfFrame(bytes, end);
      }
      return end;
    }
    default:
      return afterLine;
  }
}
