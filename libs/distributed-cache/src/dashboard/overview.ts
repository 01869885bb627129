import { skewOf } from '../cli/look.js';
import { bytesText, durationText } from '../cli/output.js';
import { type CacheHealth, type CounterSteps, type Gathered, type SummedMetrics, sumMetrics } from '../core/index.js';
import { type AllFacts, type AllMetrics, type Minute, minutesOf } from './gather.js';
import { badge, facts, type Html, html, named, numberText, type Part, table } from './html.js';
import { healthSection, invalidationBadge, missingNote, nameOf, type Page, section, type Visit } from './layout.js';

/** The maximum number of rows of a table: a page stays readable when a process answers with more. */
const MOST_ROWS = 200;

/** What the overview shows. */
export interface Overview {
  readonly health: CacheHealth | undefined;
  readonly processes: AllFacts;
  readonly metrics: AllMetrics;
  readonly hour: Gathered<CounterSteps>;
  /** The last hour of the namespaces with the most lookups. */
  readonly hours: ReadonlyMap<string, Gathered<CounterSteps>>;
}

export function overviewPage(visit: Visit, { health, processes, metrics, hour, hours }: Overview): Page {
  const sums = sumMetrics(metrics);
  return {
    title: 'Overview',
    body: [
      healthSection(health),
      section('sums', 'All processes', [missingNote(processes), totals(processes, sums)]),
      section('hour', 'Last hour', chart(hour)),
      section('namespaces', 'Namespaces', namespaceTable(visit, sums, processes, hours)),
      section('processes', 'Processes', processTable(processes, BRIEF)),
    ],
  };
}

function totals({ answers }: AllFacts, sums: readonly SummedMetrics[]): Html {
  const sum = (name: keyof SummedMetrics): number => sums.reduce((total, each) => total + Number(each[name]), 0);
  const lookups = sum('total_requests');
  const bytes = answers.reduce((total, { answer }) => total + answer.localBytes, 0);
  const entries = answers.reduce((total, { answer }) => total + answer.localEntries, 0);
  return facts([
    ['Processes', answers.length],
    ['Lookups', numberText(lookups)],
    ['Hit ratio', share(sum('hits'), lookups)],
    ['Answered by L1', share(sum('local_hits'), lookups)],
    ['Answered by Redis', share(sum('redis_hits'), lookups)],
    ['Loads', numberText(sum('loads'))],
    ['Load time saved', durationText(sum('load_seconds_saved') * 1000)],
    ['Stale values served', numberText(sum('stale_served'))],
    ['Errors', numberText(sum('errors'))],
    ['Entries in L1', `${numberText(entries)}, ${bytesText(bytes)}`],
  ]);
}

/** A part of a whole, with a bar. */
export function share(part: number, whole: number): Part {
  if (whole === 0) {
    return 'none yet';
  }
  const percent = Math.min(100, Math.max(0, (part / whole) * 100));
  return html`<meter min="0" max="100" value="${percent.toFixed(1)}" aria-hidden="true"></meter> ${percent.toFixed(1)} %`;
}

function namespaceTable(
  { base }: Visit,
  sums: readonly SummedMetrics[],
  { answers }: AllFacts,
  hours: Overview['hours'],
): Html {
  const counted = new Set(sums.map(({ namespace }) => namespace));
  const unused = new Set(answers.flatMap(({ answer }) => answer.namespaces).filter((name) => !counted.has(name)));
  const rows = [
    ...sums.map((sum) => [
      link(base, sum.namespace),
      sum.total_requests,
      share(sum.hits, sum.total_requests),
      sum.local_hits,
      sum.redis_hits,
      sum.misses,
      sum.loads,
      sum.load_errors,
      sum.stale_served,
      sum.errors,
      durationText(sum.load_seconds_saved * 1000),
      sparkline(hours.get(sum.namespace)),
    ]),
    ...Array.from(unused, (name) => [link(base, name), 0, 'none yet', 0, 0, 0, 0, 0, 0, 0, durationText(0), '']),
  ];
  const head = [
    'Namespace',
    'Lookups',
    'Hit ratio',
    'L1',
    'Redis',
    'Misses',
    'Loads',
    'Failed loads',
    'Stale',
    'Errors',
  ];
  return html`${table('Counters since the start of the processes', [...head, 'Time saved', 'Lookups per second, last hour'], rows.slice(0, MOST_ROWS))}
  ${moreThan(rows.length)}`;
}

function link(base: string, namespace: string): Html {
  return html`<a href="${base}namespace?name=${encoded(namespace)}">${named(namespace)}</a>`;
}

/** A text in an address: every text can be encoded, also one that is no well-formed UTF-16. */
export function encoded(text: string): string {
  return encodeURIComponent(text.replace(/\p{Cs}/gu, '\uFFFD'));
}

function moreThan(count: number): Html | undefined {
  return count > MOST_ROWS ? html`<p class="note">${count - MOST_ROWS} more are not shown.</p>` : undefined;
}

/** The state of each process: those that answer, and those that did and do not. */
function processTable({ answers, silent, unanswered }: AllFacts, width = COLUMNS.length): Html {
  const rows = [
    ...answers.map(({ process, answer }) => ({
      order: `${process.host} ${process.pid}`,
      cells: [
        nameOf(process),
        badge('good', 'answers'),
        badge(answer.redis === 'live' ? 'good' : answer.redis === 'none' ? 'plain' : 'bad', answer.redis),
        answer.redis === 'none' ? '' : invalidationBadge(answer.invalidation),
        answer.journalLength,
        answer.localMaxBytes === 0
          ? 'off'
          : html`<meter
                min="0"
                max="100"
                value="${((answer.localBytes / answer.localMaxBytes) * 100).toFixed(1)}"
                aria-hidden="true"
              ></meter>
              ${bytesText(answer.localBytes)} of ${bytesText(answer.localMaxBytes)}`,
        answer.localEntries,
        durationText(answer.uptimeSeconds * 1000),
        process.application === undefined ? '' : named(process.application),
        named(answer.version),
        named(answer.node),
        named(answer.config),
        bytesText(answer.heapBytes),
        answer.ignoredMessages,
      ] as Part[],
    })),
    ...silent.map(({ lastAnswerMs, ...process }) => ({
      order: `${process.host} ${process.pid}`,
      cells: [
        nameOf(process),
        badge('bad', `silent for ${durationText(lastAnswerMs)}`),
        ...Array.from({ length: COLUMNS.length - 2 }, () => ''),
      ] as Part[],
    })),
  ].sort((one, other) => one.order.localeCompare(other.order));
  const nameless = Math.max(0, unanswered - silent.length);
  return html`${table(
    'State of each process',
    COLUMNS.slice(0, width),
    rows.slice(0, MOST_ROWS).map(({ cells }) => cells.slice(0, width)),
  )}
  ${moreThan(rows.length)}
  ${nameless > 0 && html`<p class="note">${badge('bad', 'silent')} ${nameless} more received the question and did not answer in time.</p>`}`;
}

/** The columns of the overview are the first ones. */
const BRIEF = 8;
const COLUMNS = [
  'Process',
  'State',
  'Redis',
  'Changes by others',
  'Journal',
  'L1',
  'Entries',
  'Up for',
  'Application',
  'Version',
  'Node',
  'Configuration',
  'Heap',
  'Ignored messages',
];

export function processesPage(health: CacheHealth | undefined, processes: AllFacts): Page {
  const differences = skewOf(processes);
  return {
    title: 'Processes',
    body: [
      healthSection(health),
      section('processes', 'Processes', [
        missingNote(processes),
        processTable(processes),
        differences.map((difference) => html`<p class="note">${badge('fair', 'differ')} ${difference}.</p>`),
      ]),
    ],
  };
}

/** The series of a chart: the counter, its name, and its number for the colour and the pattern of its line. */
const SERIES = [
  ['local_hits', 'Answered by L1', 1],
  ['redis_hits', 'Answered by Redis', 2],
  ['misses', 'Misses', 3],
  ['loads', 'Loads', 4],
] as const;

const WIDTH = 600;
const HEIGHT = 160;

/** The last hour as a picture, and as a table of the same numbers. The script of the page draws the table anew, larger. */
export function chart(hour: Gathered<CounterSteps>): Html {
  const minutes = minutesOf(hour);
  if (minutes.every(({ rates }) => rates === undefined)) {
    return html`<p class="none">No record yet: each process records its counters every ten seconds.</p>`;
  }
  const highest = Math.max(0.1, ...minutes.flatMap(({ rates }) => SERIES.map(([name]) => rates?.[name] ?? 0)));
  const known = minutes.filter(({ rates }) => rates !== undefined);
  const clock = (atMs: number): string => new Date(atMs).toISOString().slice(11, 16);
  return html`<figure data-chart="">
    <figcaption>Lookups and loads per second, all processes. Highest: ${numberText(highest)}.</figcaption>
    <ul class="legend">
      ${SERIES.map(([, text, number]) => html`<li class="series-${number}">${text}</li>`)}
    </ul>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      ${SERIES.map(([name, , number]) => html`<polyline class="series-${number}" points="${pointsOf(minutes, ({ rates }) => rates?.[name], highest)}" />`)}
    </svg>
    <details>
      <summary>The numbers as a table</summary>
      ${table(
        'Per second, by minute (UTC)',
        ['Minute', ...SERIES.map(([, text]) => text)],
        known.map(({ atMs, rates }) =>
          [html`<time datetime="${new Date(atMs).toISOString()}">${clock(atMs)}</time>`].concat(
            SERIES.map(([name]) => rates?.[name] ?? 0).map(
              (rate) => html`<data value="${rate.toFixed(2)}">${numberText(rate)}</data>`,
            ),
          ),
        ),
      )}
    </details>
  </figure>`;
}

/** The lookups of a namespace in the last hour as a small picture, and those of the last minute as a number. */
function sparkline(hour: Gathered<CounterSteps> | undefined): Part {
  const minutes = hour === undefined ? [] : minutesOf(hour);
  const known = minutes.filter(({ rates }) => rates !== undefined);
  if (known.length === 0) {
    return '';
  }
  const highest = Math.max(0.1, ...known.map((minute) => lookupsOf(minute) ?? 0));
  return html`<svg
      class="sparkline"
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      preserveAspectRatio="none"
      aria-hidden="true"
      focusable="false"
    >
      <polyline class="series-1" points="${pointsOf(minutes, lookupsOf, highest)}" />
    </svg>
    ${numberText(lookupsOf(known.at(-1)) ?? 0)}`;
}

function lookupsOf(minute: Minute | undefined): number | undefined {
  const rates = minute?.rates;
  return rates && (rates['local_hits'] ?? 0) + (rates['redis_hits'] ?? 0) + (rates['misses'] ?? 0);
}

function pointsOf(minutes: readonly Minute[], rateOf: (minute: Minute) => number | undefined, highest: number): string {
  return minutes
    .map((minute, index) => [index, rateOf(minute)] as const)
    .filter((point): point is readonly [number, number] => point[1] !== undefined)
    .map(
      ([index, rate]) =>
        `${((index / (minutes.length - 1)) * WIDTH).toFixed(1)},${(HEIGHT - (rate / highest) * (HEIGHT - 4) - 2).toFixed(1)}`,
    )
    .join(' ');
}
