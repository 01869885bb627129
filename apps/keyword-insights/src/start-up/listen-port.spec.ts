import { describe, expect, it } from 'vitest';
import { explainListenError, parsePort } from './listen-port.js';
import { StartUpError } from './start-up-error.js';

describe('listen port', () => {
  it('is 3000 where PORT says nothing', () => {
    expect(parsePort(undefined)).toBe(3000);
    expect(parsePort(' ')).toBe(3000);
  });

  it('takes whole numbers from 0 to 65535 and refuses anything else', () => {
    expect(parsePort('0')).toBe(0);
    expect(parsePort(' 8080 ')).toBe(8080);
    for (const value of ['abc', '-1', '65536', '80.5', '0x50', '1e3']) {
      expect(() => parsePort(value)).toThrow(StartUpError);
    }
  });

  it('explains a busy port, and leaves other errors as they are', () => {
    const busy = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' });
    expect(explainListenError(busy, 3000)).toMatchObject({ message: expect.stringContaining('PORT=3001') });
    const other = new Error('something else');
    expect(explainListenError(other, 3000)).toBe(other);
  });
});
