import type { Finding } from '../cli/doctor/facts.js';
import type { AuditedChange, OperatorChange } from '../core/index.js';
import { describeKey } from '../core/index.js';
import { badge, html, type Mood, named, type Part, table } from './html.js';
import { type Page, section, type Visit } from './layout.js';
import { encoded } from './overview.js';
import { timeOf } from './namespace.js';

/** A check of the doctor, with its result. */
export interface CheckedFact extends Finding {
  readonly id: string;
  readonly about: string;
}

const MOODS: Readonly<Record<Finding['status'], Mood>> = { ok: 'good', warn: 'fair', fail: 'bad', unknown: 'plain' };
const WORST: readonly Finding['status'][] = ['fail', 'warn', 'unknown', 'ok'];

/** The checks of the command `doctor`, run by this process: the worst first. */
export function checksPage(checks: readonly CheckedFact[]): Page {
  const rows = [...checks]
    .sort((one, other) => WORST.indexOf(one.status) - WORST.indexOf(other.status))
    .map(({ about, status, found, advice }) => [about, badge(MOODS[status], status), found, advice]);
  return {
    title: 'Checks',
    body: [
      html`<p class="note">
        The checks of the command <code>doctor</code>, as this process sees Redis and the others.
      </p>`,
      section('checks', 'Results', table('What must be true', ['Check', 'Result', 'Found', 'What to do'], rows), false),
    ],
  };
}

/** The last changes by operators. */
export function auditPage(
  { hasWholeKeys }: Visit,
  {
    changes,
    unreadableBecause,
  }: { readonly changes: readonly AuditedChange[]; readonly unreadableBecause: string | undefined },
): Page {
  const nameOf = (action: string, name: string): string =>
    (action === 'evict' || action === 'expire') && !hasWholeKeys ? describeKey(name) : name;
  const rows = changes.map(({ atMs, actor, origin, action, namespace, names, outcome }) => [
    timeOf(atMs),
    named(actor),
    named(origin),
    named(action),
    named(namespace),
    html`<ul class="tags">
      ${names.slice(0, 20).map((name) => html`<li><code>${named(nameOf(action, name))}</code></li>`)}
    </ul>`,
    named(outcome),
  ]);
  const head = ['Time (UTC)', 'Who', 'From', 'Action', 'Namespace', 'Names', 'Outcome'];
  const reason = unreadableBecause === undefined ? undefined : (UNREADABLE[unreadableBecause] ?? unreadableBecause);
  return {
    title: 'Audit',
    body: section('audit', 'Changes by operators', [
      reason !== undefined &&
        html`<p class="note">${badge('bad', 'unknown')} The audit trail can't be read: ${reason}.</p>`,
      reason === undefined && table('The newest first', head, rows),
    ]),
  };
}

const UNREADABLE: Readonly<Record<string, string>> = {
  'no-redis': 'no Redis is configured, and it is kept there',
  'redis-unavailable': "Redis can't be used",
  NOPERM: 'the Redis user has no right to read it (NOPERM): grant +xrevrange',
};

/** What has come of a change. */
export function changedPage(
  { base }: Visit,
  namespace: string,
  text: Part,
  { notRecordedBecause }: OperatorChange,
  isRedisUsable: boolean,
): Page {
  const isLocal = notRecordedBecause === 'no-redis';
  return {
    title: 'Done',
    body: [
      html`<p role="status">${badge('good', 'done')} ${text}</p>`,
      !isRedisUsable &&
        html`<p class="note">
          ${badge('fair', 'pending')} Redis can't be used: the change is made there, and reaches the other processes,
          when it is back.
        </p>`,
      notRecordedBecause !== undefined &&
        html`<p class="note">
          ${badge(isLocal ? 'plain' : 'fair', 'not recorded')} The audit trail does not have this change
          (${notRecordedBecause}).
        </p>`,
      html`<p><a href="${base}namespace?name=${encoded(namespace)}">Back to ${named(namespace)}</a></p>`,
    ],
  };
}

/** A request is not carried out. Its message is shown to the caller. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The page of a refusal. @throws any other error, as it is */
export function refusedPage(error: unknown): Page {
  if (!(error instanceof Refusal)) {
    throw error;
  }
  const { status, message } = error;
  const title = status === 404 ? 'Not found' : 'Not done';
  return { status, title, body: html`<p role="alert">${badge('bad', String(status))} ${message}</p>` };
}
