import { describe, expect, it } from 'vitest';
import { ScanGate } from './scan-gate.js';

describe('scan gate', () => {
  it('never runs more than the limit, in the order of the calls', async () => {
    const gate = new ScanGate(2);
    const started: number[] = [];
    let running = 0;
    let mostRunning = 0;
    const works = [1, 2, 3, 4, 5].map((number) =>
      gate.run(async () => {
        started.push(number);
        running += 1;
        mostRunning = Math.max(mostRunning, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return number;
      }),
    );
    expect(await Promise.all(works)).toEqual([1, 2, 3, 4, 5]);
    expect(started).toEqual([1, 2, 3, 4, 5]);
    expect(mostRunning).toBe(2);
  });

  it('goes on after a work that fails', async () => {
    const gate = new ScanGate(1);
    const failure = new Error('broken');
    const failing = gate.run(() => Promise.reject(failure));
    const following = gate.run(async () => 'done');
    await expect(failing).rejects.toBe(failure);
    expect(await following).toBe('done');
  });
});
