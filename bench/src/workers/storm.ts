/** One of several processes whose callers all want the same key at the same moment. */
import { setTimeout as delay } from 'node:timers/promises';
import { openStormContestants } from '../contestants/storm-calls.js';
import { answerParent } from '../support/workers.js';

export interface StormQuestion {
  readonly contestant: string;
  readonly key: string;
  readonly callers: number;
  readonly loaderMs: number;
  /** When to begin, by the clock of all. */
  readonly startAtMs: number;
}

export interface StormAnswer {
  readonly loads: number;
  readonly doneAtMs: number;
}

let loads = 0;
let loaderMs = 0;
const load = async () => {
  loads++;
  await delay(loaderMs);
  return { title: 'lamp', price: 12 };
};

const contestants = await openStormContestants(Number(process.argv[2]), load);

answerParent(async (asked): Promise<StormAnswer> => {
  const question = asked as StormQuestion;
  const contestant = contestants.find(({ name }) => name === question.contestant);
  if (contestant === undefined) {
    return { loads: 0, doneAtMs: Date.now() }; // a greeting: it is ready
  }
  loads = 0;
  ({ loaderMs } = question);
  await delay(Math.max(0, question.startAtMs - Date.now()));
  await Promise.all(Array.from({ length: question.callers }, () => contestant.call(question.key)));
  return { loads, doneAtMs: performance.timeOrigin + performance.now() };
});
