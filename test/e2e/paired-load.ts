import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, Demo } from './demo-for-test.js';

/** One request, sent to the demo under test and to its control at the same moment, from the same event loop. */
export interface Pair {
  readonly request: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /**
   * How much longer the demo took than the control, without the computing of answers: a Redis that lost everything
   * costs that work once, and it is no waiting. A slow machine affects both.
   */
  readonly excessMs: number;
  /** How long the control took, in the same way: on a quiet machine some milliseconds. */
  readonly controlMs: number;
  /** Whether the demo answered with the status and the findings of the control. */
  readonly isRight: boolean;
}

/**
 * The pause of a client between an answer and its next request: with 20 clients the processor is busy, but not
 * overloaded.
 */
const THINK_MS = 25;

const POPULAR = ['linux', 'perl', 'money', 'free', 'kernel', 'list'].flatMap((term) => [
  `GET /insights/keywords/${term}`,
  `GET /insights/trends/${term}`,
]);

/** Clients that send both demos, repeatedly, requests for answers in L1, for new answers, and for deletions. */
export class PairedLoad {
  readonly pairs: Pair[] = [];
  private readonly clients: Promise<void>[] = [];
  private isStopped = false;
  private asked = 0;
  private waiting: { count: number; resolve: () => void } | undefined;

  constructor(
    private readonly demo: Demo,
    private readonly control: Demo,
  ) {}

  start(clients: number): void {
    for (let client = 0; client < clients; client += 1) {
      this.clients.push(this.askOn());
    }
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await Promise.all(this.clients);
  }

  /** Resolves when this number of requests that begin from now on have been answered. */
  answers(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = { count: this.pairs.length + this.clients.length + count, resolve };
    });
  }

  private async askOn(): Promise<void> {
    while (!this.isStopped) {
      await this.askBoth(this.nextRequest());
      await delay(THINK_MS);
    }
  }

  private nextRequest(): string {
    this.asked += 1;
    switch (this.asked % 5) {
      case 0:
        return `DELETE /insights/keywords/unasked%20${this.asked - 2}`;
      case 3:
        return `GET /insights/keywords/unasked%20${this.asked}`;
      default:
        return POPULAR[this.asked % POPULAR.length] ?? '';
    }
  }

  private async askBoth(request: string): Promise<void> {
    const startedAtMs = performance.now();
    const [tested, control] = await Promise.all([timed(this.demo, request), timed(this.control, request)]);
    this.pairs.push({
      request,
      startedAtMs,
      endedAtMs: performance.now(),
      excessMs: tested.waitedMs - control.waitedMs,
      controlMs: control.waitedMs,
      isRight: isSame(tested.answer, control.answer),
    });
    if (this.waiting && this.pairs.length >= this.waiting.count) {
      this.waiting.resolve();
    }
  }
}

interface TimedAnswer {
  readonly answer: Answer | undefined;
  readonly waitedMs: number;
}

async function timed(demo: Demo, request: string): Promise<TimedAnswer> {
  const [method, path = ''] = request.split(' ');
  const startedAtMs = performance.now();
  const answer = await demo.ask(path, method === 'DELETE' ? 'DELETE' : 'GET').catch(() => undefined);
  const tookMs = performance.now() - startedAtMs;
  const isWorkedOut = answer?.cacheStatus?.includes('fwd=miss') === true;
  // A request that joined a running computation waited for a part of it only.
  const workMs = isWorkedOut ? Math.min(Number(answer.json['analysisMs']), tookMs) : 0;
  return { answer, waitedMs: tookMs - workMs };
}

function isSame(tested: Answer | undefined, control: Answer | undefined): boolean {
  return (
    tested !== undefined &&
    tested.status === (tested.body === '' ? 204 : 200) &&
    tested.status === control?.status &&
    tested.json['mails'] === control.json['mails']
  );
}
