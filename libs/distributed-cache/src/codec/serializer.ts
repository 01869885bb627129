import { CorruptEntryError } from '../errors/index.js';
import { parseJsonText } from './json-text.js';
import type { SerializerId } from './payload.js';
import { copyAsPlain } from './plain-copy.js';
import { toRefusedError } from './refusal.js';
import { parseRichText, writeRichText } from './rich-text.js';
import { inspectValue } from './value-inspector.js';

export interface SerializedValue {
  readonly serializer: SerializerId;
  readonly text: string;
  /** false: what is read back differs from what was given, for example a plain object instead of an instance. */
  readonly exact: boolean;
}

/**
 * Writes a value as text: as JSON where JSON keeps all of it, else in the rich notation.
 * @throws ValueRefusedError, and nothing else, also when reading the value throws
 */
export function serialize(value: unknown): SerializedValue {
  const { isJson, isExact } = inspectValue(value);
  try {
    if (isExact) {
      return write(value, isJson, true);
    }
    const copy = copyAsPlain(value);
    return write(copy, inspectValue(copy).isJson, false);
  } catch (error) {
    throw toRefusedError(error);
  }
}

/** @throws CorruptEntryError, and nothing else, whatever the text is */
export function deserialize(serializer: SerializerId, text: string): unknown {
  switch (serializer) {
    case 'json':
      return parseJsonText(text);
    case 'rich':
      return parseRichText(text);
    case 'undefined':
      if (text !== '') {
        throw new CorruptEntryError('it has a payload and says that it has none');
      }
      return undefined;
  }
}

function write(value: unknown, isJson: boolean, exact: boolean): SerializedValue {
  if (value === undefined) {
    return { serializer: 'undefined', text: '', exact };
  }
  return isJson
    ? { serializer: 'json', text: JSON.stringify(value), exact }
    : { serializer: 'rich', text: writeRichText(value), exact };
}
