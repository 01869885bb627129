/**
 * `npm run soak -- --seconds 30 --seed 7 --mix all`: three nodes under random faults, with every function of the cache.
 * It ends on its own, with exit code 1 if a promise was broken.
 * It compiles the sources first, so the test always covers the present sources.
 */
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string' },
    mix: { type: 'string', default: 'basic' },
  },
});
if (values.mix !== 'basic' && values.mix !== 'all') {
  console.error(`--mix must be basic or all, got ${JSON.stringify(values.mix)}`);
  process.exit(2);
}
const seconds = wholeNumber('seconds', values.seconds, 1, 86_400);
const seed = wholeNumber('seed', values.seed ?? String(randomInt(2 ** 31)), 0, 2 ** 32 - 1);
console.log(`seed ${seed}`);

const { module } = await runnerImport(fileURLToPath(new URL('soak.ts', import.meta.url)), {
  configFile: false,
  logLevel: 'warn',
});
const { lines, complaints } = await module.soak({ seconds, seed, mix: values.mix });
console.log(lines.join('\n'));
for (const complaint of complaints) {
  console.error(`BROKEN: ${complaint}`);
}
// An explicit exit: a hanging soak would give no result.
process.exit(complaints.length > 0 ? 1 : 0);

/**
 * @param {string} name
 * @param {string} text
 * @param {number} least
 * @param {number} most
 */
function wholeNumber(name, text, least, most) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || number > most) {
    console.error(`--${name} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`);
    process.exit(2);
  }
  return number;
}
