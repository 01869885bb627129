/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). @param {number} seed @returns {() => number} */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Ranks from 0 to `count - 1`: rank n is drawn with a probability proportional to 1 / (n + 1).
 * @param {number} count @param {() => number} random @returns {() => number}
 */
export function zipf(count, random) {
  let total = 0;
  const cumulative = Array.from({ length: count }, (_, rank) => (total += 1 / (rank + 1)));
  return () => {
    const drawn = random() * total;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? 0) < drawn) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
}
