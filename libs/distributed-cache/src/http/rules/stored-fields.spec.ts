import { describe, expect, it } from 'vitest';
import { fieldsToStore, freshenedFields } from './stored-fields.js';

describe('fieldsToStore (RFC 9111 section 3.1)', () => {
  it('keeps all fields but those of the connection and those that Connection names', () => {
    const fields = {
      connection: 'a, B',
      a: '1',
      b: '2',
      'keep-alive': 'timeout=5',
      'transfer-encoding': 'chunked',
      'proxy-authenticate': 'Basic',
      'proxy-authentication-info': 'x',
      'proxy-authorization': 'x',
      'proxy-connection': 'keep-alive',
      trailer: 'x-checksum',
      upgrade: 'h2c',
      te: 'trailers',
      'content-length': 3,
      'set-cookie': ['x=1', 'y=2'],
      'x-missing': undefined,
    };
    expect(fieldsToStore(fields)).toEqual({ 'content-length': '3', 'set-cookie': ['x=1', 'y=2'] });
  });

  it('leaves out further fields by name (section 5.2.2.4)', () => {
    expect(fieldsToStore({ a: '1', b: '2' }, ['a'])).toEqual({ b: '2' });
  });
});

describe('freshenedFields (RFC 9111 section 3.2)', () => {
  it('takes new fields from a 304, and keeps those that describe the stored bytes', () => {
    const bytes = { 'content-encoding': 'gzip', 'content-md5': 'x', 'content-range': 'bytes 0-2/3', etag: '"a"' };
    const stored = { 'content-length': '3', ...bytes, 'x-old': '1', 'x-both': '1' };
    const update = {
      'content-length': '0',
      'content-encoding': 'br',
      'content-md5': 'y',
      'content-range': 'bytes 0-1/3',
      etag: '"b"',
      'x-both': '2',
      'x-new': '2',
      connection: 'close',
    };
    expect(freshenedFields(stored, update)).toEqual({ ...stored, 'x-both': '2', 'x-new': '2' });
  });
});
