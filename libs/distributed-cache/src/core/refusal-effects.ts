import type { Refusal } from '../redis/index.js';

/** The effect of a refused command. */
const EFFECTS: Readonly<Record<string, string>> = {
  GET: 'nothing is read from Redis',
  SET: 'nothing is stored in Redis',
  DEL: 'no set and no deletion is acknowledged',
  EVAL: 'no load is shared between processes',
  EVALSHA: 'no load is shared between processes',
  RENAME: 'no load is stored in Redis',
  PTTL: 'what other programs have written is not read',
  PUBLISH: 'changes are not announced to other processes',
};

/** Commands that the cache can replace by others. */
const DISPENSABLE: ReadonlySet<string> = new Set(['MGET', 'UNLINK', 'MULTI', 'EXEC']);

/** Replies with which Redis refuses every write. */
const NO_WRITES: ReadonlySet<string> = new Set(['READONLY', 'OOM', 'MISCONF', 'NOREPLICAS']);

/** The effects of replies that are the same for every command. */
const EFFECTS_OF_REPLIES: Readonly<Record<string, string>> = {
  ...Object.fromEntries([...NO_WRITES].map((reply) => [reply, 'nothing is stored in Redis'])),
  MOVED: 'the server is a node of a Cluster, and only its own keys are cached (see redis.cluster)',
};

export interface RefusalEffect extends Refusal {
  /** `cache:*`, or the name of a channel. */
  readonly keyPattern: string;
  /** The effect, in words for an operator. */
  readonly effect: string;
}

/** The effect of a refusal. @returns `undefined` for a command that the cache does without */
export function effectOf({ command, reply }: Refusal, keyPrefix: string): RefusalEffect | undefined {
  const known = EFFECTS_OF_REPLIES[reply];
  if (DISPENSABLE.has(command) && known === undefined) {
    return undefined;
  }
  const keyPattern = command === 'PUBLISH' ? `${keyPrefix}:#changed` : `${keyPrefix}:*`;
  return { command, reply, keyPattern, effect: known ?? EFFECTS[command] ?? 'what needs it is not done' };
}

/** Whether the refusal means that no value can be stored. */
export function stopsWrites({ command, reply }: Refusal): boolean {
  return (command === 'SET' && reply !== 'MOVED') || NO_WRITES.has(reply);
}

/** A refusal and its effect as one sentence, for a health check. */
export function describeRefusal({ command, reply, keyPattern, effect }: RefusalEffect): string {
  return `Redis refuses ${command} on ${keyPattern} (${reply}): ${effect}`;
}
