const SYLLABLES = [
  'la',
  'mor',
  'ti',
  'ven',
  'sa',
  'ru',
  'el',
  'dan',
  'ko',
  'pi',
  'gra',
  'no',
  'us',
  'fer',
  'ba',
  'lin',
  'o',
  'tre',
];

/** A record with nested objects, as a service returns it. */
export interface Product {
  readonly id: number;
  readonly title: string;
  readonly price: number;
  readonly inStock: boolean;
  readonly reviews: { readonly author: string; readonly stars: number; readonly text: string }[];
}

export function product(id: number, bytes: number): Product {
  const reviews: Product['reviews'] = [];
  const value: Product = {
    id,
    title: `${word(id)} ${word(id * 7)} ${id}`,
    price: id / 4,
    inStock: id % 3 > 0,
    reviews,
  };
  for (let size = 90, index = 0; size < bytes - 60; index++) {
    const review = { author: `${word(id + index)}${index}`, stars: (id + index) % 6, text: sentence(id + index * 13) };
    reviews.push(review);
    size += JSON.stringify(review).length + 1;
  }
  return value;
}

export function keysOf(count: number, prefix = 'product'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}:${index}`);
}

/** The number at the end of a key. */
export function idOf(key: string): number {
  return Number(key.slice(key.lastIndexOf(':') + 1));
}

/** A word from a vocabulary of some thousands: like real text, the values repeat words, but not sentences. */
function word(index: number): string {
  const bits = Math.imul(index + 1, 0x9e3779b1) >>> 7;
  const count = 2 + (bits % 3);
  return Array.from({ length: count }, (_, at) => SYLLABLES[(bits >>> (at * 5 + 2)) % SYLLABLES.length] ?? '').join('');
}

function sentence(seed: number): string {
  return Array.from({ length: 12 }, (_, index) => word(seed * 31 + index * index * 7 + (seed % 11))).join(' ');
}
