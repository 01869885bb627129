import type { Refusal } from '../redis/index.js';

/** What is lost without a command. */
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

/** There is another way to the same. */
const DISPENSABLE: ReadonlySet<string> = new Set(['MGET', 'UNLINK', 'MULTI', 'EXEC']);

/** Replies with which Redis refuses every write. */
const NO_WRITES: ReadonlySet<string> = new Set(['READONLY', 'OOM', 'MISCONF', 'NOREPLICAS']);

export interface RefusalEffect extends Refusal {
  /** `cache:*`, or the name of a channel. */
  readonly keyPattern: string;
  /** What is lost, for a person. */
  readonly effect: string;
}

/** @returns `undefined` for a command that is done without */
export function effectOf({ command, reply }: Refusal, keyPrefix: string): RefusalEffect | undefined {
  if (DISPENSABLE.has(command) && !NO_WRITES.has(reply)) {
    return undefined;
  }
  const keyPattern = command === 'PUBLISH' ? `${keyPrefix}:#changed` : `${keyPrefix}:*`;
  const effect = NO_WRITES.has(reply)
    ? 'nothing is stored in Redis'
    : (EFFECTS[command] ?? 'what needs it is not done');
  return { command, reply, keyPattern, effect };
}

/** Whether nothing can be stored. */
export function stopsWrites({ command, reply }: Refusal): boolean {
  return command === 'SET' || NO_WRITES.has(reply);
}

export function describeRefusal({ command, reply, keyPattern, effect }: RefusalEffect): string {
  return `Redis refuses ${command} on ${keyPattern} (${reply}): ${effect}`;
}
