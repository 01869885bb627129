import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 10_000;

/** Checks a condition every millisecond until it is true. @throws after 10 s */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > giveUpAtMs) {
      throw new Error(`the condition was not true within ${DEADLINE_MS} ms`);
    }
    await delay(1);
  }
}
