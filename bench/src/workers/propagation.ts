/** A process that holds a copy of a value in memory and reports when it stops serving it. */
import { Redis } from 'ioredis';
import { PROPAGATION_CACHES } from '../contestants/propagation-caches.js';
import { answerParent } from '../support/workers.js';

export interface PropagationQuestion {
  readonly contestant: string;
  readonly key: string;
  /** `hold`: read the key into memory. `watch`: read it until it is a miss. */
  readonly task: 'hold' | 'watch';
}

export interface PropagationAnswer {
  /** The start of the first read that missed; a monotonic clock that all processes share. */
  readonly goneAtNs: string;
}

const port = Number(process.argv[2]);
const caches = await Promise.all(PROPAGATION_CACHES.map(async ({ name, open }) => ({ name, cache: await open(port) })));

/** The floor: a message that sets a flag, and a loop that reads the flag. */
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
