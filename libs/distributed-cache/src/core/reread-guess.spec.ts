import { describe, expect, it } from 'vitest';
import { RereadGuess } from './reread-guess.js';

/** Keeps so many values as it is told, and asks again for a share of the texts. @returns how many were kept as text */
function keep(guess: RereadGuess, count: number, isAskedAgain: (index: number) => boolean): number {
  let texts = 0;
  for (let index = 0; index < count; index++) {
    if (guess.prefersText()) {
      texts++;
      guess.onKept();
      if (isAskedAgain(index)) {
        guess.onReread();
      }
    }
  }
  return texts;
}

describe('what is read from Redis is kept', () => {
  it('as text, as long as hardly any of it is asked for again', () => {
    const guess = new RereadGuess();
    expect(keep(guess, 1000, () => false)).toBe(1000);
    expect(keep(guess, 1000, (index) => index % 4 === 0)).toBe(1000);
  });

  it('as a value where it is, but for a few that show whether that goes on', () => {
    const guess = new RereadGuess();
    const texts = keep(guess, 1000, () => true);
    expect(texts).toBeGreaterThan(1000 / 20);
    expect(texts).toBeLessThan(1000 / 10);
  });

  it('as a value also where it is asked for only after all of it has been read', () => {
    const guess = new RereadGuess();
    expect(keep(guess, 1000, () => false)).toBe(1000);
    for (let index = 0; index < 1000; index++) {
      guess.onReread();
    }
    expect(keep(guess, 16, () => true)).toBe(1);
  });

  it('as text again soon after it is no longer asked for', () => {
    const guess = new RereadGuess();
    keep(guess, 1000, () => true);
    keep(guess, 2000, () => false);
    expect(keep(guess, 100, () => false)).toBe(100);
  });
});
