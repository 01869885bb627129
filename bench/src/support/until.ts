import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 10_000;

/** Waits for a condition, a millisecond between two looks. @throws after 10 s */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAtMs = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > giveUpAtMs) {
      throw new Error(`waited ${DEADLINE_MS} ms in vain`);
    }
    await delay(1);
  }
}
