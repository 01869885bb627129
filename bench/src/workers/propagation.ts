/** Another process that holds a copy and says when it stopped serving it. */
import { Redis } from 'ioredis';
import { PROPAGATION_CACHES } from '../contestants/propagation-caches.js';
import { answerParent } from '../support/workers.js';

export interface PropagationQuestion {
  readonly contestant: string;
  readonly key: string;
  /** `hold`: read the key into memory; `watch`: read it again and again until it is gone. */
  readonly task: 'hold' | 'watch';
}

export interface PropagationAnswer {
  /** Start of the first read that did not get the old value; monotonic, the same clock in all processes. */
  readonly goneAtNs: string;
}

const port = Number(process.argv[2]);
const caches = await Promise.all(PROPAGATION_CACHES.map(async ({ name, open }) => ({ name, cache: await open(port) })));

/** The floor: a message that sets a flag, and a loop that looks at the flag. */
const subscriber = new Redis({ host: '127.0.0.1', port });
let lastMessage = '';
subscriber.on('message', (_channel, message) => (lastMessage = message));
await subscriber.subscribe('hop');

answerParent(async (asked): Promise<PropagationAnswer> => {
  const { contestant, key, task } = asked as PropagationQuestion;
  const found = caches.find(({ name }) => name === contestant);
  const isStillServed = async () =>
    found === undefined ? lastMessage !== key : (await found.cache.get(key)) !== undefined;
  if (task === 'hold') {
    await isStillServed();
    return { goneAtNs: '' };
  }
  for (;;) {
    const startedAtNs = process.hrtime.bigint();
    if (!(await isStillServed())) {
      return { goneAtNs: String(startedAtNs) };
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
});
