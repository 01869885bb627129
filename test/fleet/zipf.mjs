/**
 * Ranks from 0 to `count - 1`: rank n is drawn with a probability proportional to 1 / (n + 1).
 * @param {number} count @returns {() => number}
 */
export function zipf(count) {
  let total = 0;
  const cumulative = Array.from({ length: count }, (_, rank) => (total += 1 / (rank + 1)));
  return () => {
    const drawn = Math.random() * total;
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
