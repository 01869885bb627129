/**
 * Values as applications cache them, for measurements and tests of compression: made from hashes, so each run has the same
 * ones. Words, names and places are out of a small stock; numbers, ids and times are such that no codec can shrink them.
 */
import { createHash } from 'node:crypto';

const WORDS =
  `wireless noise cancelling headphones with charging case and microphone for travel office running black white
  blue stainless steel kitchen knife set garden hose adjustable led desk lamp organic cotton baby blanket yoga mat extra thick
  portable bluetooth speaker waterproof rechargeable battery pack travel mug insulated water bottle`.split(/\s+/);
const NAMES =
  `Ada Grace Alan Edsger Barbara Donald John Leslie Frances Ken Dennis Linus Margaret Radia Tim Vint Joan Kathleen Hedy
  Lovelace Hopper Turing Dijkstra Liskov Knuth Backus Lamport Allen Thompson Ritchie Torvalds Hamilton Perlman Clarke Booth`.split(
    /\s+/,
  );
const CITIES = 'Berlin Hamburg Lisbon Porto Zurich Vienna Oslo Bergen Paris Lyon London Leeds'.split(' ');

/** A product of about 350 bytes, as a search API would list it. @param {number} index */
export function productOf(index) {
  const hash = createHash('sha256').update(String(index)).digest();
  const word = (/** @type {number} */ at) => WORDS[(hash[at] ?? 0) % WORDS.length];
  return {
    id: hash.toString('base64url', 0, 9),
    title: Array.from({ length: 8 }, (_, at) => word(at)).join(' '),
    price: hash.readUInt16BE(10) / 100,
    rating: (hash[12] ?? 0) / 51,
    reviews: hash.readUInt16BE(13),
    tags: [word(15), word(16), word(17)],
    updatedAt: new Date(1.7e12 + hash.readUInt32BE(18)).toISOString(),
    seller: { id: hash.readUInt32BE(22), name: `${word(26)} ${word(27)}`, isPrime: (hash[28] ?? 0) > 127 },
  };
}

/** A row of a table of users, of about 280 bytes. @param {number} index */
export function userOf(index) {
  const hash = createHash('sha256').update(`user ${index}`).digest();
  const one = (/** @type {number} */ at, /** @type {string[]} */ stock) => stock[(hash[at] ?? 0) % stock.length] ?? '';
  const [first, last] = [one(0, NAMES), one(1, NAMES)];
  return {
    id: index * 7 + (hash[2] ?? 0),
    email: `${first}.${last}${hash.readUInt16BE(3)}@example.com`.toLowerCase(),
    firstName: first,
    lastName: last,
    role: one(5, ['admin', 'member', 'guest']),
    isActive: (hash[6] ?? 0) > 20,
    locale: one(7, ['de-DE', 'en-GB', 'fr-FR']),
    city: one(8, CITIES),
    createdAt: new Date(1.6e12 + hash.readUInt32BE(9) * 20).toISOString(),
    lastLoginAt: new Date(1.7e12 + hash.readUInt32BE(13)).toISOString(),
    avatar: `https://images.example.com/avatars/${hash.toString('hex', 17, 25)}.png`,
  };
}

/** The results of a search, about 300 bytes each. @param {number} index @param {number} hits at most 20 */
export function searchOf(index, hits = 5) {
  const hash = createHash('sha256').update(`search ${index}`).digest();
  const word = (/** @type {number} */ at) => WORDS[(hash[at] ?? 0) % WORDS.length] ?? '';
  return {
    query: `${word(0)} ${word(1)}`,
    total: hash.readUInt16BE(2),
    tookMs: hash[4],
    page: 1,
    hits: Array.from({ length: hits }, (_, at) => {
      const { id, title, price, tags } = productOf(hash.readUInt16BE(at + 5) + 10_000);
      const highlight = title.replaceAll(word(0), `<em>${word(0)}</em>`);
      const url = `https://shop.example.com/products/${title.split(' ').slice(0, 3).join('-')}/${id}`;
      return { score: (hash[at + 10] ?? 0) / 8, id, title, highlight, url, price, tags };
    }),
  };
}

/** Products whose JSON has about so many bytes together. @param {number} bytes */
export function productsOf(bytes) {
  const products = [];
  for (let size = 0; size < bytes; size += JSON.stringify(products.at(-1)).length + 1) {
    products.push(productOf(products.length));
  }
  return products;
}
