import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { DomainPipe } from './domain.pipe.js';
import { TermPipe } from './term.pipe.js';

describe('term pipe', () => {
  const pipe = new TermPipe();

  it('gives one key to one term', () => {
    expect(['Linux', ' linux ', 'LINUX'].map((term) => pipe.transform(term))).toEqual(['linux', 'linux', 'linux']);
    expect(pipe.transform('cafe\u0301')).toBe(pipe.transform('CAFÉ'));
  });

  it('refuses a term without letters and digits, and an endless one', () => {
    for (const term of ['', '  ', '\u00a0', '?!', 'x'.repeat(101)]) {
      expect(() => pipe.transform(term)).toThrow(BadRequestException);
    }
  });
});

describe('domain pipe', () => {
  const pipe = new DomainPipe();

  it('gives one key to one domain', () => {
    expect(pipe.transform(' Example.ORG. ')).toBe('example.org');
  });

  it('refuses a blank domain, and one longer than names can be', () => {
    for (const domain of ['', ' ', '.', 'x'.repeat(254)]) {
      expect(() => pipe.transform(domain)).toThrow(BadRequestException);
    }
  });
});
