/** One of several processes whose callers request the same key at the same time. */
import { setTimeout as delay } from 'node:timers/promises';
import { openStormContestants } from '../contestants/storm-calls.js';
import { answerParent } from '../support/workers.js';

export interface StormQuestion {
  readonly contestant: string;
  readonly key: string;
  readonly callers: number;
  readonly loaderMs: number;
  /** The time of the first call, by the wall clock that all processes share. */
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
    return { loads: 0, doneAtMs: Date.now() }; // the scenario only waits until the process is ready
  }
  loads = 0;
  ({ loaderMs } = question);
  await delay(Math.max(0, question.startAtMs - Date.now()));
  await Promise.all(Array.from({ length: question.callers }, () => contestant.call(question.key)));
  return { loads, doneAtMs: performance.timeOrigin + performance.now() };
});
