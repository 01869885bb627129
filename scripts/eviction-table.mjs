/**
 * `npm run eviction -- --seconds 20`: what a Redis costs that holds a tenth of the data, by its `maxmemory-policy`. Two processes
 * ask for 200,000 keys of 1 KB, a fifth of the time for the same twenty, on 20 MB. Prints the table of docs/guarantees.md.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' } } });
const seconds = Number(values.seconds);
if (!(seconds >= 1 && seconds <= 30)) {
  console.error(`--seconds must be from 1 to 30, got ${JSON.stringify(values.seconds)}`);
  process.exit(2);
}
const { module } = await runnerImport(fileURLToPath(new URL('../test/eviction/eviction-run.ts', import.meta.url)), {
  configFile: false,
  logLevel: 'warn',
});
console.log(
  '| `maxmemory-policy` | hits, both tiers | hits in Redis | whole-namespace misses | evicted keys | `set` refused | loads of hot keys per 1000 requests |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const policy of module.POLICIES) {
  const result = await module.runEviction({ policy, seconds, memoryMb: 20, keys: 200_000 });
  const hot = Math.round((result.hotLoads / result.hotRequests) * 10_000) / 10;
  const cells = [
    `\`${policy}\``,
    `${result.hitPercent} %`,
    `${result.redisHitPercent} %`,
    result.namespaceMisses,
    result.evictedKeys,
    `${result.setsRefusedPercent} %`,
    hot,
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
process.exit(0);
