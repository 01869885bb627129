import { durationText, bytesText } from '../cli/output.js';
import {
  type CacheMetricsWire,
  describeKey,
  type CounterSteps,
  type Gathered,
  mergeTop,
  type ProcessAnswer,
  type RecentChange,
  type ResolvedNamespace,
  type RunningLoad,
  sumMetrics,
  type TopKey,
  type TopOrder,
} from '../core/index.js';
import { type AllMetrics, referenceOf } from './gather.js';
import { facts, type Html, html, named, numberText, type Part, table } from './html.js';
import { consent, form, hidden, missingNote, nameOf, type Page, section, type Visit } from './layout.js';
import { chart, encoded, share } from './overview.js';

/** The entries of L1 that are listed. */
const LISTED = 20;
/** The most processes that have a column of their own. */
const MOST_COLUMNS = 16;
const MOST_CHANGES = 30;

export const ORDERS: Readonly<Record<TopOrder, string>> = {
  uses: 'Hits',
  bytes: 'Size',
  loadMs: 'Load time',
  savedMs: 'Time saved',
};

/** What the page of a namespace shows. */
export interface NamespaceLook {
  readonly namespace: string;
  readonly by: TopOrder;
  readonly policy: ResolvedNamespace;
  readonly metrics: AllMetrics;
  readonly hour: Gathered<CounterSteps>;
  readonly top: Gathered<readonly TopKey[]>;
  readonly loads: Gathered<readonly RunningLoad[]>;
  readonly changes: Gathered<readonly RecentChange[]>;
}

export function namespacePage(visit: Visit, look: NamespaceLook): Page {
  const { namespace, metrics, hour, loads, changes } = look;
  return {
    title: namespace,
    body: [
      section('sums', 'All processes', [missingNote(metrics), sums(look)]),
      section('hour', 'Last hour', chart(hour)),
      section('memory', 'L1 of each process', memoryTable(namespace, metrics)),
      section('top', 'Entries in L1', topTable(visit, look)),
      section('loads', 'Loads under way', loadTable(visit, namespace, loads)),
      section('changes', 'Changes by others', changeTable(visit, namespace, changes)),
      section('look', 'One entry', inspectForm(visit, namespace), false),
      visit.mayChange && section('change', 'Change', changeForms(visit, namespace), false),
      section('policy', 'Options in this process', policyFacts(look.policy), false),
    ],
  };
}

function sums({ namespace, metrics }: NamespaceLook): Html {
  const sum = sumMetrics(metrics).find((each) => each.namespace === namespace);
  if (sum === undefined) {
    return html`<p class="none">No process uses this namespace.</p>`;
  }
  return facts([
    ['Lookups', numberText(sum.total_requests)],
    ['Hit ratio', share(sum.hits, sum.total_requests)],
    ['Answered by L1', share(sum.local_hits, sum.total_requests)],
    ['Answered by Redis', share(sum.redis_hits, sum.total_requests)],
    ['Misses', numberText(sum.misses)],
    ['Loads', `${numberText(sum.loads)}, ${numberText(sum.load_errors)} failed`],
    ['Load time saved', durationText(sum.load_seconds_saved * 1000)],
    ['Stale values served', numberText(sum.stale_served)],
    ['Deleted keys', numberText(sum.deletes)],
    ['Purged tags', numberText(sum.tag_invalidations)],
    ['Clears', numberText(sum.clears)],
    ['Errors', numberText(sum.errors)],
  ]);
}

function memoryTable(namespace: string, { answers }: AllMetrics): Html {
  const rows = sorted(answers).flatMap(({ process, answer }) =>
    answer
      .filter((metrics) => metrics.namespace === namespace)
      .map((metrics) => [
        nameOf(process),
        counted(metrics, 'local_entries'),
        bytesText(counted(metrics, 'local_bytes')),
        metrics.hits + metrics.misses,
        share(metrics.hits, metrics.hits + metrics.misses),
        counted(metrics, 'local_hits'),
        counted(metrics, 'redis_hits'),
        metrics.misses,
        counted(metrics, 'evictions_capacity'),
        counted(metrics, 'evictions_expired'),
        counted(metrics, 'evictions_invalidated'),
        counted(metrics, 'evictions_epoch'),
      ]),
  );
  const head = ['Process', 'Entries', 'Size', 'Lookups', 'Hit ratio', 'From L1', 'From Redis', 'Misses'];
  return table(
    'Entries, lookups, and for what reason entries have left',
    [...head, 'Left for room', 'Expired', 'Invalidated', 'Cleared'],
    rows,
    'no process uses this namespace.',
  );
}

/** A counter of a process, which may be of another version, or not be one of this library. */
function counted(metrics: CacheMetricsWire, name: keyof CacheMetricsWire): number {
  const value: unknown = metrics[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function topTable(visit: Visit, { namespace, by, top }: NamespaceLook): Html {
  const columns = sorted(top.answers).slice(0, MOST_COLUMNS);
  const merged = mergeTop(top, by, LISTED);
  const rows = merged.map((entry) =>
    [keyLink(visit, namespace, entry.key, by), measured(entry, by), entry.processes].concat(
      columns.map(({ answer }) => {
        const own = answer.find(({ namespace: of, key }) => of === entry.namespace && key === entry.key);
        return own === undefined ? '–' : measured(own, by);
      }),
    ),
  );
  const left = top.answers.length - columns.length;
  return html`<ul class="orders" aria-label="Order">
      ${Object.entries(ORDERS).map(
        ([order, text]) =>
          html`<li>
            <a
              href="${visit.base}namespace?name=${encoded(namespace)}&amp;by=${order}"
              ${order === by && html` aria-current="true"`}
              >${text}</a
            >
          </li>`,
      )}
    </ul>
    ${table(`First in each process by ${ORDERS[by].toLowerCase()}`, ['Key', ORDERS[by], 'Processes', ...columns.map(({ process }) => nameOf(process))], rows, 'L1 of no process has an entry.')}
    ${left > 0 && html`<p class="note">${left} more processes count in the sums only.</p>`}`;
}

function measured(entry: { readonly [Order in TopOrder]: number }, by: TopOrder): Part {
  return by === 'uses' ? entry.uses : by === 'bytes' ? bytesText(entry.bytes) : durationText(entry[by]);
}

/** A key, shown as the options say. Its address has a digest in place of the key. */
function keyLink(visit: Visit, namespace: string, key: string, by: TopOrder): Html {
  return html`<a href="${visit.base}key?name=${encoded(namespace)}&amp;by=${by}&amp;ref=${referenceOf(key)}"
    >${shownKey(visit, key)}</a
  >`;
}

export function shownKey({ hasWholeKeys }: Visit, key: string): Html {
  return html`<code>${named(hasWholeKeys ? key : describeKey(key))}</code>`;
}

function loadTable(visit: Visit, namespace: string, { answers }: Gathered<readonly RunningLoad[]>): Html {
  const rows = answers
    .flatMap(({ process, answer }) => answer.map((load) => ({ process, ...load })))
    .filter((load) => load.namespace === namespace)
    .sort((one, other) => other.elapsedMs - one.elapsedMs)
    .slice(0, LISTED)
    .map(({ process, key, phase, elapsedMs }) => [
      shownKey(visit, key),
      nameOf(process),
      phase,
      durationText(elapsedMs),
    ]);
  return table('The longest first', ['Key', 'Process', 'Phase', 'For'], rows);
}

const KINDS: Readonly<Record<RecentChange['kind'], string>> = {
  key: 'key',
  tag: 'tag purged',
  namespace: 'namespace cleared',
  all: 'all entries',
};

/** A change is heard by every process but the one that made it: it is listed once, as the first of them heard it. */
function changeTable(visit: Visit, namespace: string, { answers }: Gathered<readonly RecentChange[]>): Html {
  const first = new Map<string, RecentChange & { heardBy: number }>();
  const SAME_WITHIN_MS = 2000;
  for (const change of answers.flatMap(({ answer }) => answer)) {
    if (change.kind === 'all' || change.namespace === namespace) {
      const name = `${change.kind} ${change.name} ${Math.round(change.atMs / SAME_WITHIN_MS)}`;
      const known = first.get(name);
      first.set(name, {
        ...change,
        atMs: Math.min(change.atMs, known?.atMs ?? change.atMs),
        heardBy: (known?.heardBy ?? 0) + 1,
      });
    }
  }
  const rows = [...first.values()]
    .sort((one, other) => other.atMs - one.atMs)
    .slice(0, MOST_CHANGES)
    .map(({ atMs, kind, name, heardBy }) => [
      timeOf(atMs),
      KINDS[kind],
      kind === 'key' ? shownKey(visit, name) : html`<code>${named(name)}</code>`,
      heardBy,
    ]);
  return table('The newest first', ['Time (UTC)', 'What', 'Name', 'Heard by'], rows);
}

const LONGEST_TIME_MS = 8.64e15;

/** A time of another process: any number. */
export function timeOf(atMs: number): Html {
  const text = new Date(Math.max(-LONGEST_TIME_MS, Math.min(LONGEST_TIME_MS, atMs))).toISOString();
  return html`<time datetime="${text}">${text.slice(0, 19).replace('T', ' ')}</time>`;
}

function inspectForm(visit: Visit, namespace: string): Html {
  return form(
    visit,
    'key',
    html`${hidden('name', namespace)}
      <label for="key">Key, as the application gives it, or as <code>top --keys</code> shows it</label>
      <input id="key" name="text" required autocomplete="off" autocapitalize="none" spellcheck="false" />`,
    'Look',
  );
}

function changeForms(visit: Visit, namespace: string): Part {
  return [
    form(
      visit,
      'purge',
      html`${hidden('name', namespace)}
        <label for="tag">Tag</label>
        <input id="tag" name="tag" required autocomplete="off" autocapitalize="none" spellcheck="false" />
        ${consent(html`Make every entry of ${named(namespace)} with this tag a miss, in every process`)}`,
      'Purge',
    ),
    form(
      visit,
      'clear',
      html`${hidden('name', namespace)}${consent(html`Make every entry of ${named(namespace)} a miss, in every process`)}`,
      'Clear',
    ),
  ];
}

function policyFacts(policy: ResolvedNamespace): Html {
  const pairs = Object.entries(policy)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([name, value]) => [name, shownOption(name, value as string | number | boolean)] as const);
  return facts(pairs);
}

function shownOption(name: string, value: string | number | boolean): string {
  return typeof value === 'number' && name.endsWith('Ms') ? durationText(value) : String(value);
}

function sorted<Body>(answers: readonly ProcessAnswer<Body>[]): readonly ProcessAnswer<Body>[] {
  const name = ({ process: { host, pid } }: ProcessAnswer<Body>): string => `${host} ${pid}`;
  return [...answers].sort((one, other) => name(one).localeCompare(name(other)));
}
