/**
 * A process of an earlier version, controlled by messages: released-process.ts starts it with the address of the
 * library and its options. A load that waits ends with the message `release`.
 */
import { answerMessages } from './answer-messages.mjs';

const [library, options] = process.argv.slice(2);
const { CacheConfig, DistributedCache } = await import(library);
const all = new DistributedCache(CacheConfig.resolve(JSON.parse(options), {}), { random: () => 1, leaseMs: 60_000 });
await all.connect();
const cache = all.getCache('users');
/** @type {(() => void) | undefined} */
let release;
let loads = 0;

const actions = {
  get: (key) => cache.get(key),
  set: (key, value) => cache.set(key, value),
  delete: (key) => cache.delete(key),
  clear: () => cache.clear(),
  load: (key, value) =>
    cache.getOrSet(key, () => {
      loads++;
      return value;
    }),
  hold: (key, value) =>
    cache.getOrSet(key, async () => {
      loads++;
      process.send({ started: key });
      await new Promise((resolve) => (release = resolve));
      return value;
    }),
  release: () => release?.(),
  loads: () => loads,
  errors: () => cache.getMetrics().errors,
};

answerMessages(actions);
process.send({ started: 'process' });
