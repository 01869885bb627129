import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { type ContentCoding, isCompressible } from '../rules/content-coding.js';
import { fieldText } from '../rules/fields.js';
import { entityTagForCoding } from '../rules/validators.js';
import type { BytesValue } from '../../values/index.js';
import { codedEntry, type StoredResponse } from './stored-response.js';

/** A smaller body is sent as it is: it fits into one packet either way. */
const MIN_BYTES = 1024;
/** A coding is kept when it saves at least a tenth. */
const MAX_RATIO = 0.9;

const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };
const compressors = {
  br: (body: Buffer): Promise<Buffer> => promisify(brotliCompress)(body, BROTLI),
  gzip: (body: Buffer): Promise<Buffer> => promisify<Buffer, Buffer>(gzip)(body),
} as const satisfies Record<ContentCoding, (body: Buffer) => Promise<Buffer>>;

/** Whether the body of a response may be kept in other codings, and is worth it. */
export function isWorthCoding({ status, fields, body }: StoredResponse): boolean {
  return (
    status === 200 &&
    body.length >= MIN_BYTES &&
    fields['content-encoding'] === undefined &&
    isCompressible(fieldText(fields, 'content-type')) &&
    !/\bno-transform\b/i.test(fieldText(fields, 'cache-control') ?? '')
  );
}

/** The key of the body of one stored response in a coding. When the response is replaced, it is not found any more. */
export function codedKey(key: string, { id }: StoredResponse, coding: ContentCoding): string {
  return `${key} | coded ${id} ${coding}`;
}

/** Compresses the body of a response off the event loop. */
export async function codeBody(response: StoredResponse, coding: ContentCoding): Promise<BytesValue> {
  const { body } = response;
  const coded = await compressors[coding](body);
  return codedEntry(response, coded.length <= body.length * MAX_RATIO ? coded : undefined);
}

/** The response with its body in a coding; its entity tag is another one. */
export function inCoding(response: StoredResponse, coding: ContentCoding, body: Buffer): StoredResponse {
  const tag = fieldText(response.fields, 'etag');
  const fields = { ...response.fields, 'content-encoding': coding };
  return {
    ...response,
    body,
    fields: tag === undefined ? fields : { ...fields, etag: entityTagForCoding(tag, coding) },
  };
}

/** The response with one more member in a field. */
export function withMember(response: StoredResponse, name: string, member: string): StoredResponse {
  const before = fieldText(response.fields, name);
  return {
    ...response,
    fields: { ...response.fields, [name]: before === undefined ? member : `${before}, ${member}` },
  };
}
