import { describe, expect, it } from 'vitest';
import { BytesValue } from '../../values/index.js';
import {
  codedBodyIn,
  codedEntry,
  entryOf,
  isVariantIndex,
  responseIn,
  type StoredResponse,
  type VariantIndex,
} from './stored-response.js';

const body = Buffer.from('{"id":1}');
const stored: StoredResponse = {
  id: 'one',
  status: 200,
  fields: { 'content-type': 'application/json', link: ['</a>', '</b>'] },
  body,
  initialAgeMs: 0,
  freshMs: 1000,
  whileRevalidateMs: 0,
  ifErrorMs: 0,
};

/** The entry as it comes back from Redis, with changes of its head. */
function readBack(changes: Record<string, unknown> = {}): BytesValue {
  const { head } = entryOf(stored);
  return new BytesValue(JSON.parse(JSON.stringify({ ...head, ...changes })) as Record<string, unknown>, body);
}

describe('an entry of a response', () => {
  it('comes back as the response, the same object each time', () => {
    const entry = readBack();
    expect(responseIn(entry)).toEqual(stored);
    expect(responseIn(entry)).toBe(responseIn(entry));
  });

  it('is stored as it is when its body is small or coded: compression would save little', () => {
    const coded = { ...stored.fields, 'content-encoding': 'br' };
    const isCompressed = (bytes: number, fields = stored.fields): boolean =>
      entryOf({ ...stored, fields, body: Buffer.alloc(bytes) }).isCompressed;
    expect([isCompressed(2047), isCompressed(2048), isCompressed(2048, coded)]).toEqual([true, false, true]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['a field that ends its line', { fields: { 'x-a': 'b\r\nset-cookie: c' } }],
    ['a name that ends its line', { fields: { 'x\r\na': 'b' } }],
    ['fields of another kind', { fields: { 'x-a': { toString: 1 } } }],
    ['a line of another kind', { fields: { 'x-a': ['b', 5] } }],
    ['no fields', { fields: null }],
    ['a list of fields', { fields: 'x' }],
    ['a status that is none', { status: 99 }],
    ['a status that is a text', { status: '200' }],
    ['a status of more than three digits', { status: 2000 }],
    ['a lifetime that is no number', { freshMs: 'long' }],
    ['an age that is missing', { initialAgeMs: undefined }],
    ['no id', { id: 7 }],
    ['a selection of another kind', { selection: {} }],
  ])('is a miss with %s', (_what, changes) => {
    expect(responseIn(readBack(changes))).toBeUndefined();
  });

  it('is neither an index nor a coded body, and they are no response', () => {
    const index = { kind: 'variants', id: 'x', names: ['x-plan'] } as const;
    expect([isVariantIndex(readBack()), codedBodyIn(readBack())]).toEqual([false, undefined]);
    expect([responseIn(index), responseIn(codedEntry(stored, body)), responseIn(null)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(isVariantIndex(JSON.parse('{"kind":"variants","id":"x","names":"x-plan"}') as VariantIndex)).toBe(false);
    expect([isVariantIndex(index), codedBodyIn(codedEntry(stored, body))?.equals(body)]).toEqual([true, true]);
    expect(codedBodyIn(codedEntry(stored, undefined))).toBeUndefined();
  });
});
