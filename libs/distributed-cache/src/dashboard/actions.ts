import type { Logger } from '@nestjs/common';
import { printable } from '../cli/output.js';
import { keyOf } from '../cli/session.js';
import {
  type CacheKey,
  CacheKeyError,
  describeKey,
  type DistributedCache,
  encodeKey,
  isValidName,
  type Operator,
  type OperatorChange,
  type TopOrder,
} from '../core/index.js';
import { type EntryLook, entryPage, valueText } from './entry.js';
import { type Gatherer, referenceOf, within } from './gather.js';
import { html, named, type Part } from './html.js';
import type { Page, Visit } from './layout.js';
import { ORDERS } from './namespace.js';
import { actorOf, type DashboardOptions, type DashboardRequest } from './options.js';
import { changedPage, Refusal } from './reports.js';

/** The fields of a form, or the parameters of an address. */
export type Fields = ReadonlyMap<string, string>;

/** The entries of each process among which a digest of a key is looked for: as many as one answer lists. */
const MOST_SEARCHED = 1000;

/** The key of a request, and the fields with which the next form names it. */
interface NamedKey {
  readonly key: CacheKey;
  readonly fields: EntryLook['fields'];
}

/** A change, with its words for the log and for the page. */
interface Changed {
  readonly change: OperatorChange;
  readonly what: string;
  readonly text: Part;
}

/** What the page does with one entry, one tag or one namespace. Changes are ordinary changes of the cache, and recorded. */
export class Actions {
  /** Keys by their namespace and digest. */
  private readonly known = new Map<string, string>();

  constructor(
    private readonly cache: DistributedCache,
    private readonly gatherer: Gatherer,
    private readonly options: DashboardOptions,
    private readonly logger: Logger,
  ) {}

  /** Shows an entry. @throws Refusal for a key that can't be found or used */
  async lookAt(visit: Visit, fields: Fields, value?: string): Promise<Page> {
    const namespace = namespaceIn(fields);
    const chosen = await this.keyIn(namespace, fields);
    const key = encodeKey(chosen.key);
    const [found, inspection] = await Promise.all([
      this.cache.operations.inspect(namespace, chosen.key),
      within(this.cache.visit(namespace).inspect(chosen.key), undefined),
    ]);
    return entryPage(visit, {
      namespace,
      key,
      fields: chosen.fields,
      redis: inspection?.redis,
      found,
      ...(value !== undefined && { value }),
    });
  }

  /** Does what a form asks for, if the caller may. @throws Refusal if not */
  async run(visit: Visit, request: DashboardRequest, action: string, fields: Fields): Promise<Page> {
    if (action === 'key') {
      return this.lookAt(visit, fields);
    }
    if (action === 'value') {
      return this.showValue(visit, request, fields);
    }
    if (!CHANGES.has(action)) {
      throw new Refusal(404, 'There is no such action.');
    }
    if (!visit.mayChange) {
      throw new Refusal(403, 'This page is read-only for you: nothing was done.');
    }
    if (fields.get('confirm') !== 'yes') {
      throw new Refusal(400, 'Tick the box that confirms the change: nothing was done.');
    }
    const operator = { actor: await actorOf(this.options, request), origin: originOf(request) };
    const namespace = namespaceIn(fields);
    const { change, what, text } = await this.change(action, namespace, fields, operator);
    const unrecorded =
      change.notRecordedBecause === undefined ? '' : `, not in the audit trail (${change.notRecordedBecause})`;
    this.logger.log(
      `operator_change ${action} of ${what} in ${namespace} by ${printable(operator.actor)}, ${printable(operator.origin)}${unrecorded}`,
    );
    this.gatherer.forget();
    return changedPage(visit, namespace, text, change, this.isRedisUsable);
  }

  /** Makes a change. @returns it with its words for the log and for the page */
  private async change(action: string, namespace: string, fields: Fields, operator: Operator): Promise<Changed> {
    const { operations } = this.cache;
    if (action === 'evict' || action === 'expire') {
      const { key } = await this.keyIn(namespace, fields);
      const change = await operations[action](namespace, [key], operator);
      const outcome = action === 'evict' ? 'The entry is deleted' : 'The entry is stale: the next call loads it again';
      const known = change.existed === 0 ? 'There was no such entry.' : `${outcome}.`;
      const text = this.isRedisUsable ? known : `${outcome}, in this process.`;
      return { change, what: describeKey(encodeKey(key)), text };
    }
    if (action === 'purge') {
      const tag = given(fields.get('tag'), 'Name the tag.');
      const { answers } = await operations.tagged(namespace, tag);
      const change = await operations.purge(namespace, [tag], operator);
      const dropped = answers.reduce((sum, { answer }) => sum + answer, 0);
      const entries = `${dropped} ${dropped === 1 ? 'entry' : 'entries'}`;
      const where = `in L1 of ${answers.length} ${answers.length === 1 ? 'process' : 'processes'}`;
      const text = html`The entries of ${named(namespace)} with the tag <code>${named(tag)}</code> are invalid, among
        them ${entries} ${where}.`;
      return { change, what: `tag ${describeKey(tag)}`, text };
    }
    const change = await operations.clear(namespace, operator);
    return { change, what: 'all entries', text: html`All entries of ${named(namespace)} are invalid.` };
  }

  private get isRedisUsable(): boolean {
    const { redis } = this.cache;
    return redis === undefined || redis.connection.isLive;
  }

  /** Shows the value of an entry. It is looked up as by the application, so it counts as a lookup. */
  private async showValue(visit: Visit, request: DashboardRequest, fields: Fields): Promise<Page> {
    if (!visit.mayReadValues) {
      throw new Refusal(403, 'Values are not shown to you.');
    }
    const namespace = namespaceIn(fields);
    const { key } = await this.keyIn(namespace, fields);
    const actor = printable(await actorOf(this.options, request));
    this.logger.log(
      `operator_look value of ${describeKey(encodeKey(key))} in ${namespace} by ${actor}, ${printable(originOf(request))}`,
    );
    // A namespace that is not in use here hears of no changes, so that it must keep nothing.
    if (!this.cache.getMetrics().some((used) => used.namespace === namespace)) {
      return this.lookAt(visit, fields, 'This process does not use the namespace, and can not read its values.');
    }
    const found = await within(this.cache.getCache(namespace).lookup(key), undefined);
    const isMiss = found === undefined || found.state === 'miss';
    return this.lookAt(visit, fields, isMiss ? 'There is no value that can be read.' : valueText(found.value));
  }

  /** The key that a request names: as a text, or by the digest of a key that is in the memory of a process. */
  private async keyIn(namespace: string, fields: Fields): Promise<NamedKey> {
    const typed = fields.get('text') ?? decoded(fields.get('key'));
    if (typed !== undefined) {
      const key = keyOf(typed);
      try {
        encodeKey(key);
      } catch (error) {
        throw error instanceof CacheKeyError ? new Refusal(400, error.message) : error;
      }
      return { key, fields: [['key', typed]] };
    }
    const reference = given(fields.get('ref'), 'Name the key.');
    const by = orderIn(fields);
    const key = keyOf(await this.referredTo(namespace, reference, by));
    return {
      key,
      fields: [
        ['ref', reference],
        ['by', by],
      ],
    };
  }

  /** The key with this digest, as the tiers use it. Known ones are remembered: the entry may have been evicted. */
  private async referredTo(namespace: string, reference: string, by: TopOrder): Promise<string> {
    const { known } = this;
    const name = `${namespace} ${reference}`;
    const remembered = known.get(name);
    if (remembered !== undefined) {
      return remembered;
    }
    const { answers } = await this.gatherer.top(namespace, by, MOST_SEARCHED);
    const found = answers.flatMap(({ answer }) => answer).find(({ key }) => referenceOf(key) === reference);
    if (found === undefined) {
      throw new Refusal(404, 'L1 of no process has this entry any more: look for it by its key.');
    }
    known.set(name, found.key);
    if (known.size > MOST_SEARCHED) {
      const [oldest = ''] = known.keys();
      known.delete(oldest);
    }
    return found.key;
  }
}

const CHANGES: ReadonlySet<string> = new Set(['evict', 'expire', 'purge', 'clear']);

/** @throws Refusal for a text that can't be the name of a namespace */
export function namespaceIn(fields: Fields): string {
  const name = fields.get('name') ?? '';
  if (!isValidName(name)) {
    throw new Refusal(404, 'This is no name of a namespace.');
  }
  return name;
}

export function orderIn(fields: Fields): TopOrder {
  const by = fields.get('by') ?? '';
  return Object.hasOwn(ORDERS, by) ? (by as TopOrder) : 'uses';
}

function given(text: string | undefined, otherwise: string): string {
  if (text === undefined || text === '') {
    throw new Refusal(400, otherwise);
  }
  return text;
}

function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    throw new Refusal(400, 'Name the key.');
  }
}

/** Where a change comes from, for the audit trail: the address of the caller. */
function originOf(request: DashboardRequest): string {
  return `dashboard, ${typeof request['ip'] === 'string' ? request['ip'] : 'unknown address'}`;
}
