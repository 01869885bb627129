import { randomUUID } from 'node:crypto';
import { outageReason } from './client-errors.js';
import type { RedisClient } from './redis-client.js';

/** Receives the messages to one topic. Any client that may publish there can have sent them. */
type TopicListener = (message: Buffer) => void;

/**
 * The topics of publish and subscribe on which the processes of one cache ask each other (the operations plane). The
 * subscribers of the invalidation channels listen to them. A server that refuses these topics affects nothing else.
 */
export class ProcessTopics {
  /** Identifies this process among those that use the same key prefix. */
  readonly processId = randomUUID();
  /** All processes listen to it. */
  readonly questions: string;
  /**
   * The keys of a home replica (`redis.home`); the brace makes them auxiliary keys. `proof`: its change proves that the
   * replica reports changes. `replicaMark`: exists while processes listen at replicas, which the primary does not count,
   * although it passes messages on to them.
   */
  readonly homeKeys: { readonly proof: string; readonly replicaMark: string };
  /** Why the server refuses a subscription, in one word; `undefined` if it does not, as far as known. */
  refusal: string | undefined;
  private readonly listeners = new Map<string, TopicListener>();

  /** @param prefix the prefix of all keys, colon included */
  constructor(prefix: string) {
    this.questions = `${prefix}#ops`;
    this.homeKeys = { proof: `${prefix}{#home}:${this.processId}`, replicaMark: `${prefix}{#homes}` };
  }

  /** The topics to which this process listens. */
  get names(): string[] {
    return [...this.listeners.keys()];
  }

  /** The topic on which a process expects answers. */
  answersTo(processId: string): string {
    return `${this.questions}:${processId}`;
  }

  /** Listens to a topic from the next subscription on. */
  add(topic: string, listener: TopicListener): void {
    this.listeners.set(topic, listener);
  }

  /** Passes a message to the listener of its topic. @returns whether there is one */
  receive(topic: string, message: unknown): boolean {
    const listener = this.listeners.get(topic);
    if (listener !== undefined && Buffer.isBuffer(message)) {
      listener(message);
    }
    return listener !== undefined;
  }
}

/** An error reply as a result. */
export class RefusedReply {
  /** @param reason its first word, such as `NOPERM` */
  constructor(readonly reason: string) {}
}

/**
 * Makes an error reply the result of a command. As an error it would count as the refusal of a command that entries need,
 * and health would be degraded.
 */
export async function refusable<Reply>(command: Promise<Reply>): Promise<Reply | RefusedReply> {
  try {
    return await command;
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') {
      return new RefusedReply(outageReason(error));
    }
    throw error;
  }
}

/** Sends commands, as `RedisConnection.run` does. */
interface Runner {
  run<Result>(operation: string, send: (client: RedisClient) => Promise<Result>, key?: string): Promise<Result>;
}

const OPERATION = 'OPERATION';

/**
 * Publishes a message.
 * @returns how many connections of the server have received it; in a Cluster those of one node
 * @throws as `RedisConnection.run`, except for an error reply
 */
export function publish(redis: Runner, topic: string, message: string): Promise<number | RefusedReply> {
  return redis.run(OPERATION, (client) => refusable(client.publish(topic, message)));
}

/** Whether processes may listen at replicas, uncounted by {@link publish}. @throws as {@link publish} */
export async function mayListenAtReplicas(redis: Runner, { homeKeys }: ProcessTopics): Promise<boolean> {
  const { replicaMark } = homeKeys;
  const mark = await redis.run(OPERATION, (client) => refusable(client.get(replicaMark)), replicaMark);
  return typeof mark === 'string';
}

/** The length of the audit trail; Redis keeps somewhat more. */
const AUDIT_LENGTH = 1000;

/**
 * The stream of the audit trail. The braces make it an auxiliary key: the message about its change concerns no process.
 */
function auditKeyOf(prefix: string): string {
  return `${prefix}{#audit}`;
}

/**
 * Adds a line to the audit trail.
 * @param prefix the prefix of all keys, colon included
 * @throws as {@link publish}
 */
export function addToAudit(redis: Runner, prefix: string, fields: Readonly<Record<string, string>>): Promise<unknown> {
  const key = auditKeyOf(prefix);
  const pairs = Object.entries(fields).flat();
  const add = (client: RedisClient): Promise<unknown> => client.xadd(key, 'MAXLEN', '~', AUDIT_LENGTH, '*', ...pairs);
  return redis.run(OPERATION, (client) => refusable(add(client)), key);
}

/**
 * The last lines of the audit trail, the newest first: the id that Redis gave each, names and values in turn.
 * @param prefix the prefix of all keys, colon included
 * @throws as {@link publish}
 */
export function readAudit(
  redis: Runner,
  prefix: string,
  count: number,
): Promise<readonly (readonly [id: string, pairs: string[]])[] | RefusedReply> {
  const key = auditKeyOf(prefix);
  return redis.run(OPERATION, (client) => refusable(client.xrevrange(key, '+', '-', 'COUNT', count)), key);
}
