import { skewOf } from '../look.js';
import { bytesText } from '../output.js';
import { type Check, fail, ok, unknown, warn, type Facts } from './facts.js';

const FEW_LOOKUPS = 1000;
const LOW_HIT_RATE = 20;
const MANY_USES = 100;
/** The oldest major version of Node that is maintained. */
const OLDEST_NODE = 20;

/** The processes that answered, by a fact. */
function processesWhere(
  { processes }: Facts,
  isSo: (answer: Facts['processes']['answers'][number]['answer']) => boolean,
): string[] {
  return processes.answers.filter(({ answer }) => isSo(answer)).map(({ process: { host, pid } }) => `${host}:${pid}`);
}

/** The checks of the processes that use the cache, and of what they have counted. */
export const PROCESS_CHECKS: readonly Check[] = [
  {
    id: 'operations',
    about: 'the processes can be asked',
    find: ({ processes: { aloneBecause, answers, unanswered } }) => {
      if (aloneBecause !== undefined) {
        return fail(aloneBecause, 'Grant &<prefix>:* +publish +subscribe: this program sees Redis alone.');
      }
      const found = `${answers.length} answer, ${unanswered} do not`;
      return unanswered > 0
        ? warn(found, 'A process hangs, or is too busy to answer within 300 ms: look at its event loop.')
        : ok(found);
    },
  },
  {
    id: 'refused-commands',
    about: 'Redis carries out the commands of every process: the user of a process may be another one than here',
    find: ({ processes: { answers } }) => {
      const refused = answers.filter(({ answer }) => (answer.refused?.length ?? 0) > 0);
      const shown = refused.map(({ process: { host, pid }, answer }) => `${host}:${pid} ${answer.refused?.join(', ')}`);
      return refused.length === 0
        ? ok('none')
        : fail(
            shown.join('; '),
            'NOPERM: grant its user the rights of docs/guarantees.md. OOM, READONLY, MISCONF: see `writes` and `memory`.',
          );
    },
  },
  {
    id: 'invalidation',
    about: 'every process receives the changes of the others',
    find: (facts) => {
      const deaf = processesWhere(facts, ({ invalidation }) => invalidation === 'lost' || invalidation === 'none');
      const partly = processesWhere(facts, ({ invalidation }) => invalidation === 'announced');
      if (deaf.length > 0) {
        return fail(deaf.join(', '), 'Their memory is not used: /health of the process names the cause.');
      }
      return partly.length > 0
        ? warn(
            partly.join(', '),
            'They learn of changes by other programs only late: Redis 6, and the rights to CLIENT TRACKING and CLIENT ID.',
          )
        : ok('live');
    },
  },
  {
    id: 'journals',
    about: 'no process waits for Redis to acknowledge changes',
    find: (facts) => {
      const behind = processesWhere(facts, ({ journalLength }) => journalLength > 0);
      return behind.length === 0
        ? ok('empty')
        : warn(
            behind.join(', '),
            'Redis was away, or refuses deletions: they are repeated at each heartbeat; /health has the cause.',
          );
    },
  },
  {
    id: 'same-settings',
    about: 'the processes of an application have one version and one configuration',
    find: ({ processes }) => {
      const [difference] = skewOf(processes);
      return difference === undefined
        ? ok('the same')
        : warn(difference, 'Normal during a rollout; otherwise some processes are left behind.');
    },
  },
  {
    id: 'node',
    about: 'the processes run on a maintained version of Node',
    find: (facts) => {
      const old = processesWhere(facts, ({ node }) => Number.parseInt(node, 10) < OLDEST_NODE);
      return old.length === 0
        ? ok([...new Set(facts.processes.answers.map(({ answer }) => answer.node))].join(', ') || process.versions.node)
        : fail(old.join(', '), 'Use Node 20.19 or later.');
    },
  },
  {
    id: 'one-ioredis',
    about: 'the application and this library load the same copy of ioredis',
    find: ({ clients: { application, library } }) => {
      if (library === undefined) {
        return unknown('ioredis is bundled');
      }
      return application === undefined || application === library
        ? ok(library)
        : warn(
            `${application}; here ${library}`,
            'Only a client that the application hands in (`redis.client`) must fit: npm dedupe.',
          );
    },
  },
  {
    id: 'hit-rate',
    about: 'the cache answers more than a fifth of the lookups',
    find: ({ metrics }) => {
      const low = metrics.filter(
        ({ total_requests: lookups, hit_rate_percent: rate }) => lookups >= FEW_LOOKUPS && rate < LOW_HIT_RATE,
      );
      return low.length === 0
        ? ok(`${metrics.length} namespaces`)
        : warn(
            low.map(({ namespace, hit_rate_percent: rate }) => `${namespace} ${rate} %`).join(', '),
            'Look at the keys first (a date or a whole request in the arguments?), then at the TTL.',
          );
    },
  },
  {
    id: 'worthwhile-loads',
    about: 'loading takes longer than asking the cache',
    find: ({ metrics, pingsMs }) => {
      const medianMs = pingsMs[Math.floor(pingsMs.length / 2)] ?? 0;
      const fast = metrics.filter(
        ({ loads, redis_hits: redisHits, hits, load_seconds_saved: savedS }) =>
          loads >= MANY_USES && redisHits >= MANY_USES && (savedS * 1000) / hits < medianMs,
      );
      return fast.length === 0
        ? ok(`a round trip to Redis takes ${medianMs.toFixed(2)} ms`)
        : warn(
            fast.map(({ namespace }) => namespace).join(', '),
            'Its loader is faster than Redis: leave it uncached, or keep it in memory only.',
          );
    },
  },
  {
    id: 'large-copies',
    about: 'large values that are read often are not copied for each reader',
    find: ({ largest }) => {
      const copied = largest.filter(({ isCopied, uses }) => isCopied && uses >= MANY_USES);
      return copied.length === 0
        ? ok('none')
        : warn(
            copied.map(({ namespace, bytes, uses }) => `${namespace}: ${bytesText(bytes)}, ${uses} hits`).join('; '),
            "values: 'frozen' saves the copy, where callers do not change the value.",
          );
    },
  },
];
