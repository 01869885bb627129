import { CommandError, EXIT, type Output, printable } from '../output.js';
import type { Run } from '../session.js';
import { KEY_CHECKS } from './key-checks.js';
import { type Check, fail, type Finding, ok, collectFacts, type Facts } from './facts.js';
import { PROCESS_CHECKS } from './process-checks.js';
import { SERVER_CHECKS } from './server-checks.js';

const REACHABLE = { id: 'redis-reachable', about: 'Redis answers' };

/** All checks, in their order. */
export const CHECKS: readonly Check[] = [
  { ...REACHABLE, find: ({ config }) => ok(config.redisPlace ?? '') },
  ...SERVER_CHECKS,
  ...KEY_CHECKS,
  ...PROCESS_CHECKS,
];

interface Report {
  readonly checks: readonly (Finding & Pick<Check, 'id' | 'about'>)[];
}

/** Runs all checks. */
export function examine(facts: Facts): Report['checks'] {
  return CHECKS.map(({ id, about, find }) => Object.assign({ id, about }, find(facts)));
}

/** Checks everything, and says what to do. */
export const doctor: Run = async (session, { options }) => {
  const { out } = session;
  const config = session.config();
  const place = { redis: config.redisAddress ?? '', prefix: config.keyPrefix };
  try {
    const cache = await session.open();
    const facts = await collectFacts(cache, {
      sampleSize: Number(options['sample']),
      isStrict: options['strict'] === true,
      env: session.env,
      folder: process.cwd(),
      now: Date.now,
      onProgress: (text) => out.progress(`looking at ${text}`),
    });
    out.clearProgress();
    const checks = examine(facts);
    print(out, place, checks);
    return checks.some(({ status }) => status === 'fail') ? EXIT.no : EXIT.ok;
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT.unreachable) {
      throw error;
    }
    const advice = 'Check REDIS_URL or REDIS_HOST, the password, and that the port is open from here.';
    print(out, place, [{ ...REACHABLE, ...fail(error.message, advice) }]);
    return EXIT.unreachable;
  }
};

const MARKS = {
  ok: ['green', 'ok  '],
  warn: ['yellow', 'warn'],
  fail: ['red', 'fail'],
  unknown: ['dim', '?   '],
} as const;

function print(out: Output, place: { redis: string; prefix: string }, checks: Report['checks']): void {
  const countOf = (wanted: Finding['status']): number => checks.filter(({ status }) => status === wanted).length;
  const [warnings, failures] = [countOf('warn'), countOf('fail')];
  out.json({ ...place, ok: countOf('ok'), warnings, failures, checks });
  for (const { id, status, found, advice } of checks) {
    const [style, mark] = MARKS[status];
    out.line(`${out.style(style, mark)}  ${id.padEnd(20)}  ${printable(found)}`);
    if (advice !== undefined) {
      out.line(`${' '.repeat(28)}${out.style('dim', printable(advice))}`);
    }
  }
  out.line();
  out.line(
    `${checks.length} checks. ok: ${countOf('ok')}, warn: ${warnings}, fail: ${failures}, not known: ${countOf('unknown')}`,
  );
}
