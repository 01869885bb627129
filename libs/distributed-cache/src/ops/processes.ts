import { setTimeout as delay } from 'node:timers/promises';
import { CacheError } from '../errors/index.js';
import {
  type InvalidationGroup,
  type ProcessTopics,
  mayListenAtReplicas,
  publish,
  type RedisConnection,
  RefusedReply,
} from '../redis/index.js';
import { isAnswerTo, readAnswer, readQuestion, writeAnswer, writeQuestion, type Question } from './messages.js';
import type { AnswerTo, ArgsOf, ProcessName, ProcessView, QuestionName } from './questions.js';

/** How long the answers of other processes are waited for, in milliseconds. */
export const DEADLINE_MS = 300;
/** A process that has not answered for this long is forgotten, in milliseconds. */
const FORGOTTEN_AFTER_MS = 60_000;
/** The most questions of others that are answered within a second; more are ignored. */
const MOST_QUESTIONS_PER_SECOND = 100;
/** In a Cluster a question arrives once for each master. */
const REMEMBERED_QUESTIONS = 256;
/** The most processes whose answers to one question are kept. */
const MOST_ANSWERS = 4096;

/** What connects the processes: the parts of L2 that this needs. */
export interface ProcessLink {
  readonly connection: RedisConnection;
  readonly changes: InvalidationGroup;
  readonly topics: ProcessTopics;
}

/** The answer of one process. */
export interface ProcessAnswer<Body> {
  readonly process: ProcessName;
  readonly answer: Body;
}

/** A process that has answered in the last minute, and not now. */
export interface SilentProcess extends ProcessName {
  /** How long ago its last answer came, in milliseconds. */
  readonly lastAnswerMs: number;
}

/**
 * Why only this process was asked: no Redis is configured (`no-redis`), it can't be used (`redis-unavailable`), the
 * process does not receive messages at the moment (`not-listening`), or Redis refuses the topics (`NOPERM`).
 */
export type AloneReason = string;

/** The answers of the processes to one question. */
export interface Gathered<Body> {
  readonly answers: readonly ProcessAnswer<Body>[];
  /** The processes that answered before, within a minute, and not now: they hang, or have ended. */
  readonly silent: readonly SilentProcess[];
  /** How many processes have received the question and not answered in time. */
  readonly unanswered: number;
  /** Why the answers are those of this process alone; `undefined` when all processes were asked. */
  readonly aloneBecause: AloneReason | undefined;
}

/** Asks all processes of one cache, this one included, and answers the questions of the others. */
export class Processes {
  /** The messages that were ignored: not understood, too large, or too many. */
  ignoredMessages = 0;
  private readonly known = new Map<string, { readonly process: ProcessName; readonly atMs: number }>();
  private readonly asked = new Map<string, Gathering>();
  private readonly heard = new Set<string>();
  private secondBeganAtMs = 0;
  private questionsInSecond = 0;

  /**
   * @param view what this process answers; `undefined` for a program that only asks
   */
  constructor(
    private readonly name: ProcessName,
    private readonly view: ProcessView | undefined,
    private readonly link: ProcessLink | undefined,
  ) {
    if (view !== undefined && link !== undefined) {
      link.topics.add(link.topics.questions, (message) => this.onQuestion(view, link, message));
    }
  }

  /**
   * Asks a question. The answers of other processes arrive within `deadlineMs`; usually all are there sooner. Never
   * rejects.
   */
  async ask<Name extends QuestionName>(
    op: Name,
    args: ArgsOf<Name>,
    deadlineMs = DEADLINE_MS,
  ): Promise<Gathered<AnswerTo<Name>>> {
    const own = this.ownAnswer(op, args);
    const gathering = new Gathering(op);
    const aloneBecause = await this.gather(gathering, op, args, deadlineMs);
    const answers = [...own, ...(gathering.answers.values() as Iterable<ProcessAnswer<AnswerTo<Name>>>)];
    return {
      answers,
      silent: aloneBecause === undefined ? this.silentBeside(gathering) : [],
      unanswered: gathering.unanswered,
      aloneBecause,
    };
  }

  private ownAnswer<Name extends QuestionName>(op: Name, args: ArgsOf<Name>): ProcessAnswer<AnswerTo<Name>>[] {
    return this.view === undefined ? [] : [{ process: this.name, answer: this.view[op](args) }];
  }

  /** Collects the answers of other processes. @returns why they could not be asked */
  private async gather<Name extends QuestionName>(
    gathering: Gathering,
    op: Name,
    args: ArgsOf<Name>,
    deadlineMs: number,
  ): Promise<AloneReason | undefined> {
    const { link, view } = this;
    if (link === undefined) {
      return 'no-redis';
    }
    const { connection, changes, topics } = link;
    const question = writeQuestion(topics, op, args, deadlineMs);
    this.asked.set(question.id, gathering);
    try {
      await connection.connect();
      topics.add(topics.answersTo(topics.processId), (message) => this.onAnswer(message));
      // A server that hangs does not answer the subscription either.
      const listening = await Promise.race([changes.listenAside(), delay(deadlineMs, false, { ref: false })]);
      if (!listening) {
        return connection.isLive ? (topics.refusal ?? 'not-listening') : 'redis-unavailable';
      }
      const [isUncounted, received] = await Promise.all([
        mayListenAtReplicas(connection, topics),
        publish(connection, topics.questions, question.text),
      ]);
      if (received instanceof RefusedReply) {
        return received.reason;
      }
      const expected = view === undefined ? received : received - 1;
      await gathering.complete(isUncounted ? undefined : expected, deadlineMs);
      return undefined;
    } catch (error) {
      if (error instanceof CacheError) {
        return 'redis-unavailable';
      }
      throw error;
    } finally {
      this.asked.delete(question.id);
    }
  }

  private onAnswer(message: Buffer): void {
    const answer = readAnswer(message);
    const gathering = answer && this.asked.get(answer.id);
    if (answer === undefined || (gathering !== undefined && !gathering.add(answer.from, answer.body))) {
      this.ignoredMessages++;
    } else if (gathering !== undefined) {
      this.known.set(answer.from.id, { process: answer.from, atMs: performance.now() });
    }
  }

  private onQuestion(view: ProcessView, link: ProcessLink, message: Buffer): void {
    const question = readQuestion(message, link.topics);
    if (question === undefined) {
      this.ignoredMessages++;
    } else if (!this.asked.has(question.id) && !this.heard.has(question.id)) {
      this.remember(question.id);
      if (this.mayAnswer()) {
        void this.answer(view, link, question);
      } else {
        this.ignoredMessages++;
      }
    }
  }

  private async answer(view: ProcessView, { connection }: ProcessLink, question: Question): Promise<void> {
    const { id, op, args, replyTo } = question;
    const answerOf = view[op] as (given: typeof args) => AnswerTo<QuestionName>;
    try {
      const text = writeAnswer({ id, from: this.name, body: answerOf.call(view, args) });
      if (text !== undefined) {
        await publish(connection, replyTo, text);
      }
    } catch {
      // Without an answer this process counts as silent.
    }
  }

  private remember(id: string): void {
    this.heard.add(id);
    if (this.heard.size > REMEMBERED_QUESTIONS) {
      const [oldest = ''] = this.heard;
      this.heard.delete(oldest);
    }
  }

  private mayAnswer(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.secondBeganAtMs >= 1000) {
      this.secondBeganAtMs = nowMs;
      this.questionsInSecond = 0;
    }
    return ++this.questionsInSecond <= MOST_QUESTIONS_PER_SECOND;
  }

  private silentBeside({ answers }: Gathering): SilentProcess[] {
    const nowMs = performance.now();
    const silent: SilentProcess[] = [];
    for (const [id, { process, atMs }] of this.known) {
      if (nowMs - atMs > FORGOTTEN_AFTER_MS) {
        this.known.delete(id);
      } else if (!answers.has(id)) {
        silent.push({ ...process, lastAnswerMs: nowMs - atMs });
      }
    }
    return silent;
  }
}

/** The answers to one question while they arrive. */
class Gathering {
  readonly answers = new Map<string, ProcessAnswer<unknown>>();
  private expected: number | undefined;
  private resolve = (): void => {};

  constructor(private readonly op: QuestionName) {}

  get unanswered(): number {
    return Math.max(0, (this.expected ?? 0) - this.answers.size);
  }

  /** Adds an answer; a second one of the same process counts for nothing. @returns false if it is no answer */
  add(process: ProcessName, answer: unknown): boolean {
    if (!isAnswerTo(this.op, answer) || this.answers.size >= MOST_ANSWERS) {
      return false;
    }
    if (!this.answers.has(process.id)) {
      this.answers.set(process.id, { process, answer });
      this.resolveIfComplete();
    }
    return true;
  }

  /** Waits until so many processes have answered, at most `deadlineMs`; as long as that if the number is not known. */
  async complete(expected: number | undefined, deadlineMs: number): Promise<void> {
    this.expected = expected;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.resolve = () => {
        clearTimeout(timer);
        resolve();
      };
      this.resolveIfComplete();
    });
  }

  private resolveIfComplete(): void {
    if (this.expected !== undefined && this.answers.size >= this.expected) {
      this.resolve();
    }
  }
}
