import { fieldLines, type Fields, listMembers } from './fields.js';

/** The fields of one connection, or of a proxy: a cache keeps none of them (RFC 9111 section 3.1, 9110 section 7.6.1). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
]);

/** The fields that describe the stored bytes: a validation does not change those (RFC 9111 section 3.2). */
const FIELDS_OF_THE_BYTES: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'etag',
]);

/**
 * The fields of a response that a cache keeps: all but those of the connection and those that `Connection` names.
 * @param unwanted further names in lower case, such as those of `no-cache="…"`
 */
export function fieldsToStore(fields: Fields, unwanted: readonly string[] = []): Record<string, string | string[]> {
  const named = fieldLines(fields, 'connection')
    .flatMap(listMembers)
    .map((name) => name.toLowerCase());
  const excluded = new Set([...named, ...unwanted]);
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && !CONNECTION_FIELDS.has(name) && !excluded.has(name)) {
      kept[name] = typeof value === 'object' ? [...value] : `${value}`;
    }
  }
  return kept;
}

/**
 * The stored fields after a validation that was answered with 304 (RFC 9111 section 3.2): new fields replace stored ones,
 * except those that describe the bytes.
 */
export function freshenedFields(stored: Fields, notModified: Fields): Record<string, string | string[]> {
  const updates = Object.entries(fieldsToStore(notModified)).filter(([name]) => !FIELDS_OF_THE_BYTES.has(name));
  return { ...fieldsToStore(stored), ...Object.fromEntries(updates) };
}
