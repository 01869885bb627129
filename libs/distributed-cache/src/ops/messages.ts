import { randomUUID } from 'node:crypto';
import type { ProcessTopics } from '../redis/index.js';
import {
  type AnswerTo,
  type ArgsOf,
  CHECKS,
  isObject,
  isProcessName,
  type ProcessName,
  type QuestionName,
} from './questions.js';

/*
 * The messages of the operations plane. A question is published to all processes on `<prefix>:#ops`:
 *
 *     {"v":1,"id":"...","op":"metrics","args":{},"replyTo":"<prefix>:#ops:<process>","deadlineMs":300}
 *
 * Each process answers on the topic in `replyTo`:
 *
 *     {"v":1,"id":"...","from":{"id":"...","host":"...","pid":1},"body":...}
 *
 * A message that breaks these rules is ignored. No message carries a cached value.
 */

const VERSION = 1;
/** Longest question, in bytes. */
export const MOST_QUESTION_BYTES = 16_384;
/** Longest answer, in bytes. */
export const MOST_ANSWER_BYTES = 1_048_576;
const ID = /^[\w-]{1,64}$/;

export interface Question<Name extends QuestionName = QuestionName> {
  readonly id: string;
  readonly op: Name;
  readonly args: ArgsOf<Name>;
  readonly replyTo: string;
}

export interface Answer<Name extends QuestionName = QuestionName> {
  readonly id: string;
  readonly from: ProcessName;
  readonly body: AnswerTo<Name>;
}

/** Makes the text of a question. */
export function writeQuestion<Name extends QuestionName>(
  topics: ProcessTopics,
  op: Name,
  args: ArgsOf<Name>,
  deadlineMs: number,
): { readonly id: string; readonly text: string } {
  const id = randomUUID();
  const replyTo = topics.answersTo(topics.processId);
  return { id, text: JSON.stringify({ v: VERSION, id, op, args, replyTo, deadlineMs }) };
}

/** Reads a question. @returns `undefined` for a message that is none, or that asks for an answer elsewhere */
export function readQuestion(message: Buffer, topics: ProcessTopics): Question | undefined {
  const read = message.length > MOST_QUESTION_BYTES ? undefined : parse(message);
  if (read === undefined || !isId(read['id']) || !isQuestionName(read['op']) || typeof read['replyTo'] !== 'string') {
    return undefined;
  }
  const { id, op, args, replyTo } = read;
  const topicOfAnswers = topics.answersTo('');
  const asker = replyTo.startsWith(topicOfAnswers) ? replyTo.slice(topicOfAnswers.length) : '';
  return isId(asker) && CHECKS[op].args(args) ? { id, op, args: args as ArgsOf<typeof op>, replyTo } : undefined;
}

/** Makes the text of an answer; `undefined` when it would be too long. */
export function writeAnswer(answer: Answer): string | undefined {
  const text = JSON.stringify({ v: VERSION, ...answer });
  return Buffer.byteLength(text) > MOST_ANSWER_BYTES ? undefined : text;
}

/** Reads an answer, except its body. @returns `undefined` for a message that is none */
export function readAnswer(
  message: Buffer,
): { readonly id: string; readonly from: ProcessName; readonly body: unknown } | undefined {
  const read = message.length > MOST_ANSWER_BYTES ? undefined : parse(message);
  if (read === undefined || !isId(read['id']) || !isProcessName(read['from'])) {
    return undefined;
  }
  return { id: read['id'], from: read['from'], body: read['body'] };
}

/** Whether the body of an answer is one to this question. */
export function isAnswerTo<Name extends QuestionName>(op: Name, body: unknown): body is AnswerTo<Name> {
  return CHECKS[op].answer(body);
}

function parse(message: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(message.toString());
    return isObject(parsed) && parsed['v'] === VERSION ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}

function isQuestionName(value: unknown): value is QuestionName {
  return typeof value === 'string' && Object.hasOwn(CHECKS, value);
}
