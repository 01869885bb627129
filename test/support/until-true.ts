import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 20_000;

/**
 * For the preparation of a test: a condition of the test itself waits with `vi.waitFor`, which reports what was
 * expected.
 * @throws Error after 20 s
 */
export async function untilTrue(isTrue: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = Date.now() + DEADLINE_MS;
  while (!(await isTrue())) {
    if (Date.now() > giveUpAtMs) {
      throw new Error('the Redis servers did not get ready');
    }
    await delay(20);
  }
}
