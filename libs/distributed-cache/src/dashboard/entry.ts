import { inspect as show } from 'node:util';
import { bytesText, durationText } from '../cli/output.js';
import type { EntryInspection, Gathered, LocalInspection, ProcessPart, TagInspection } from '../core/index.js';
import { badge, facts, type Html, html, lines, named, type Part, table } from './html.js';
import { consent, form, hidden, missingNote, nameOf, type Page, section, type Visit } from './layout.js';
import { encoded } from './overview.js';
import { shownKey } from './namespace.js';

/** What the page of an entry shows. */
export interface EntryLook {
  readonly namespace: string;
  /** The key in the form that the tiers use. */
  readonly key: string;
  /** The fields of a form about this entry: the text that was typed, or the digest of the key. */
  readonly fields: readonly (readonly [name: string, text: string])[];
  readonly redis: EntryInspection['redis'] | undefined;
  readonly found: Gathered<ProcessPart>;
  /** The value, if it was asked for: the result of the lookup as text, or why there is none. */
  readonly value?: string;
}

export function entryPage(visit: Visit, look: EntryLook): Page {
  const { namespace, key, redis, found, value } = look;
  const fields = [hidden('name', namespace), ...look.fields.map(([name, text]) => hidden(name, text))];
  return {
    title: `Entry of ${namespace}`,
    body: [
      html`<p>
        ${shownKey(visit, key)} in <a href="${visit.base}namespace?name=${encoded(namespace)}">${named(namespace)}</a>
      </p>`,
      section('redis', 'Redis', redisFacts(redis)),
      section('memory', 'L1 of each process', [missingNote(found), processTable(found)]),
      value !== undefined &&
        section('value', 'Value', html`<pre tabindex="0" aria-label="Value">${lines(value)}</pre>`, false),
      (visit.mayReadValues || visit.mayChange) &&
        section(
          'change',
          'Actions',
          [
            visit.mayReadValues && form(visit, 'value', fields, 'Show the value'),
            visit.mayChange &&
              form(visit, 'expire', [fields, consent('Make this entry stale in Redis and in every process')], 'Expire'),
            visit.mayChange &&
              form(visit, 'evict', [fields, consent('Delete this entry from Redis and from every process')], 'Evict'),
          ],
          false,
        ),
    ],
  };
}

function redisFacts(redis: EntryLook['redis']): Html {
  if (redis === undefined) {
    return html`<p>${badge('bad', 'unknown')} Redis was not asked.</p>`;
  }
  const { state } = redis;
  if (state === 'none' || state === 'unreachable') {
    const text = state === 'none' ? 'No Redis is configured.' : 'Redis can not be asked.';
    return html`<p>${badge(state === 'none' ? 'plain' : 'bad', state)} ${text}</p>`;
  }
  if (state === 'missing' || state === 'corrupt') {
    const reason = state === 'corrupt' ? `The bytes can't be read: ${redis.reason}.` : '';
    return html`<p>${badge(state === 'corrupt' ? 'bad' : 'plain', state)} ${reason}</p>
      ${facts([['Lease', redis.lease]])}`;
  }
  return facts([
    ['State', badge(state === 'fresh' ? 'good' : 'fair', state)],
    ['Counts', redis.isCurrent ? 'yes' : 'no: cleared, purged, or of another version'],
    ['Age', durationText(redis.ageMs)],
    ['Left', `${durationText(Math.max(0, redis.ttlMs))}, then ${durationText(redis.graceMs)} as stale`],
    [
      'Size',
      `${bytesText(redis.storedBytes)} (${redis.serializer}, ${redis.compressor}), ${bytesText(redis.rawBytes)} raw`,
    ],
    ['Load', durationText(redis.loadMs)],
    ['Tags', tagsOf(redis.tags)],
    ['Lease', redis.lease],
  ]);
}

function tagsOf(tags: readonly TagInspection[]): Part {
  return tags.length === 0
    ? 'none'
    : html`<ul class="tags">
        ${tags.map(({ name, isCurrent }) => html`<li><code>${named(name)}</code>${!isCurrent && ' (purged)'}</li>`)}
      </ul>`;
}

function processTable({ answers }: Gathered<ProcessPart>): Html {
  const rows = [...answers]
    .sort((one, other) => one.process.pid - other.process.pid)
    .map(({ process, answer: { local, isLoading, isJournalled } }) =>
      ([nameOf(process)] as Part[]).concat(localCells(local), isLoading ? 'yes' : 'no', isJournalled ? 'yes' : 'no'),
    );
  return table(
    'What each process holds',
    ['Process', 'State', 'Used', 'Left', 'Size', 'Tags', 'Loading', 'Deletion pending'],
    rows,
    'no process has answered.',
  );
}

function localCells(local: LocalInspection): Part[] {
  if (local.state === 'missing' || local.state === 'off') {
    return [badge('plain', local.state), '', '', '', ''];
  }
  const { state, isCurrent, isTrusted } = local;
  const used = isCurrent ? (isTrusted ? 'yes' : 'no: changes may have been missed') : 'no: purged or cleared';
  const left = durationText(Math.max(0, local.ttlMs));
  return [
    badge(state === 'fresh' ? 'good' : 'fair', state),
    used,
    left,
    bytesText(local.heapBytes),
    tagsOf(local.tags),
  ];
}

const MOST_VALUE_LENGTH = 100_000;

/** A value as text. No code of the value runs for it. */
export function valueText(value: unknown): string {
  const text = show(value, { depth: 8, maxArrayLength: 200, maxStringLength: 10_000, customInspect: false });
  return text.length > MOST_VALUE_LENGTH ? `${text.slice(0, MOST_VALUE_LENGTH)}\n…` : text;
}
