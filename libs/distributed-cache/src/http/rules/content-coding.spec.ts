import { describe, expect, it } from 'vitest';
import { chooseCoding, chooseLanguage, codingChooser, isCompressible } from './content-coding.js';

describe('chooseCoding (RFC 9110 section 12.5.3)', () => {
  it.each([
    ['br, gzip', 'br'],
    ['gzip, br', 'br'],
    ['gzip;q=1, br;q=0.5', 'gzip'],
    ['gzip', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['identity', 'identity'],
    ['identity, br;q=0.5', 'identity'],
    ['deflate', 'identity'],
    ['br;q=0, gzip;q=0', 'identity'],
    ['', 'identity'],
    ['BR', 'br'],
  ])('chooses for %j %s', (accepted, coding) => {
    expect(chooseCoding({ 'accept-encoding': accepted }, ['br', 'gzip'])).toBe(coding);
  });

  it('chooses identity without the field, and when nothing else is there', () => {
    expect([chooseCoding({}, ['br']), chooseCoding({ 'accept-encoding': 'br' }, [])]).toEqual(['identity', 'identity']);
  });
});

describe('codingChooser', () => {
  it('chooses as chooseCoding, the same each time, however many values there are', () => {
    const choose = codingChooser(['br', 'gzip']);
    const values = [
      'gzip',
      undefined,
      `gzip;x=${'y'.repeat(300)}`,
      ...Array.from({ length: 70 }, (_, n) => `br;q=0.${n}`),
    ];
    for (const accepted of [...values, ...values]) {
      const fields = { 'accept-encoding': accepted };
      expect([accepted, choose(fields)]).toEqual([accepted, chooseCoding(fields, ['br', 'gzip'])]);
    }
  });
});

describe('chooseLanguage (RFC 9110 section 12.5.4)', () => {
  it.each([
    ['de-CH, de;q=0.9', 'de'],
    ['fr, en;q=0.1', 'en'],
    ['de;q=0.1, en;q=0.2', 'en'],
    ['fr', 'en'],
    ['*', 'en'],
    [undefined, 'en'],
  ])('matches %j with %s', (accepted, language) => {
    expect(chooseLanguage({ 'accept-language': accepted }, ['en', 'de'])).toBe(language);
  });

  it('reads all lines of the field', () => {
    expect(chooseLanguage({ 'accept-language': ['fr', 'de'] }, ['en', 'de'])).toBe('de');
  });
});

describe('isCompressible', () => {
  it.each([
    ['application/json; charset=utf-8', true],
    ['application/problem+json', true],
    ['text/html', true],
    ['TEXT/HTML', true],
    ['Text/Event-Stream', false],
    ['application/x-text/html', false],
    ['image/svg+xml', true],
    ['text/event-stream', false],
    ['image/png', false],
    ['application/octet-stream', false],
    [undefined, false],
  ])('of %j is %j', (type, isWorthIt) => {
    expect(isCompressible(type)).toBe(isWorthIt);
  });
});
