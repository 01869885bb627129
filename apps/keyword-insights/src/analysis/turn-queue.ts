import { ScanGate } from './scan-gate.js';

/*
 * An analysis reads every mail, which takes some hundred milliseconds of processor time. Without a pause it would delay
 * the other answers of the process: a health check, a cache hit, a reply of Redis. Three rules keep the event loop turning:
 *   - a scan works for a few milliseconds, then waits for a turn;
 *   - one turn of the event loop serves one scan, however many are waiting, so ten scans at once make each of them slower and
 *     nothing else;
 *   - only a few scans run at a time: each counts words by the ten thousand, and hundreds of them would fill the memory.
 */

/** How long one scan may work before it hands the event loop back. */
const SLICE_MS = 5;

/** Hands out the turns, first come first served: one each time the event loop comes round. */
export class TurnQueue {
  private readonly waiting: (() => void)[] = [];
  private isScheduled = false;

  nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.schedule();
    });
  }

  private schedule(): void {
    if (this.isScheduled || this.waiting.length === 0) {
      return;
    }
    this.isScheduled = true;
    // An immediate that is set while immediates run waits for the next round, after pending input and output.
    setImmediate(() => {
      this.isScheduled = false;
      this.waiting.shift()?.();
      this.schedule();
    });
  }
}

/** All scans of the process share one event loop and one memory, so they share one queue and one gate. */
const processTurns = new TurnQueue();
const processGate = new ScanGate(4);

/** Visits every item in order, handing the event loop back every few milliseconds. An error of `visit` ends the scan with it. */
export function scanInTurns<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  return processGate.run(() => scan(items, visit));
}

async function scan<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  await processTurns.nextTurn();
  let sliceEndsAtMs = performance.now() + SLICE_MS;
  for (const item of items) {
    visit(item);
    if (performance.now() >= sliceEndsAtMs) {
      await processTurns.nextTurn();
      sliceEndsAtMs = performance.now() + SLICE_MS;
    }
  }
}
