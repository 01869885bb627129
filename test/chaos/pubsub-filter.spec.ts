import { describe, expect, it } from 'vitest';
import { PubSubFilter } from './pubsub-filter.js';

const SUBSCRIBED = '*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n';
const MESSAGE = '*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n*2\r\n$1\r\na\r\n$-1\r\n';
const PONG = '*2\r\n$4\r\npong\r\n$0\r\n\r\n';
const ERROR = '-ERR no\r\n';

/** The output of the filter for a stream that arrives in pieces of this length. */
function filtered(text: string, pieceLength: number, dropsMessages: boolean): string {
  const filter = new PubSubFilter(() => dropsMessages);
  for (let from = 0; from < text.length; from += pieceLength) {
    filter.write(Buffer.from(text.slice(from, from + pieceLength)));
  }
  return String(filter.read() ?? '');
}

describe('a filter of subscription messages', () => {
  const all = [SUBSCRIBED, MESSAGE, PONG, MESSAGE, ERROR].join('');

  it.each([1, 2, 7, 1000])('drops only messages while it is on, in pieces of %i bytes', (pieceLength) => {
    expect(filtered(all, pieceLength, true)).toBe(SUBSCRIBED + PONG + ERROR);
  });

  it.each([1, 1000])('passes everything on while it is off, in pieces of %i bytes', (pieceLength) => {
    expect(filtered(all, pieceLength, false)).toBe(all);
  });
});
