import { OURS } from '../contestants/local-hit.js';
import type { Table } from '../scenarios/scenario.js';
import { figureText, markdownTable } from './text-table.js';

const START = '<!-- bench:speed -->';
const END = '<!-- /bench -->';
const COLUMNS = ['this library', 'bentocache', 'cache-manager', 'cacheable'];

interface Row {
  readonly work: string;
  readonly floor: string;
  /** The id of the table with the figures. */
  readonly table: string;
  /**
   * The names of the contestants of {@link COLUMNS} in that table, where they differ from the usual ones. A name that is
   * not in the table is the text of the cell.
   */
  readonly names?: Readonly<Record<string, string>>;
}

const L1_PEERS = { bentocache: 'bentocache, serialize: false', 'cache-manager': 'cache-manager, bounded' };

const SILENT = { 'cache-manager': 'does not notify' };

const ROWS: readonly Row[] = [
  {
    work: 'L1 hit, 1 KB object, each caller has its own copy',
    floor: '`await lru.get(key)`',
    table: 'l1',
    names: {
      bentocache: 'bentocache, its defaults',
      'cache-manager': 'cache-manager, its defaults',
      cacheable: 'cacheable, its defaults',
    },
  },
  {
    work: "L1 hit, 1 KB object that callers share, `values: 'frozen'`",
    floor: 'the same',
    table: 'l1',
    names: { ...L1_PEERS, 'this library': OURS.frozen },
  },
  {
    work: "bytes allocated per L1 hit, `values: 'frozen'`",
    floor: '248 B, the promise',
    table: 'bytes',
    names: { ...L1_PEERS, 'this library': OURS.frozen },
  },
  { work: 'L2 hit, 1 KB, one at a time', floor: 'ioredis `get` and `JSON.parse`', table: 'l2' },
  { work: 'L2 hit, 1 KB, 100 at once, processor time', floor: 'the same', table: 'l2-cpu' },
  { work: 'getMany of 100 keys of 1 KB, from Redis', floor: 'ioredis `mget` and `JSON.parse`', table: 'many' },
  {
    work: 'set of 1 KB through both tiers, other processes notified',
    floor: 'ioredis `set` and stringify',
    table: 'set',
    names: SILENT,
  },
  { work: 'the same, 100 at once, processor time', floor: 'the same', table: 'set-cpu', names: SILENT },
  { work: 'loader runs when 8 processes request one missing key', floor: '1', table: 'storm-cluster-loads' },
  {
    work: 'until another process stops serving a deleted key',
    floor: 'one publish-subscribe message',
    table: 'propagation',
    names: { ...SILENT, cacheable: 'cacheable with sync' },
  },
  {
    work: 'longest call while Redis is frozen for 5 s, over its loader',
    floor: 'no cache',
    table: 'outage-frozen-worst',
  },
];

/** The README with its table of figures written anew. @throws RangeError when it has no place for the table */
export function withSpeedTable(readme: string, tables: readonly Table[]): string {
  const [start, end] = [readme.indexOf(START), readme.indexOf(END)];
  if (start === -1 || end < start) {
    throw new RangeError(`README.md has no ${START} before ${END}`);
  }
  const rows = ROWS.map(({ work, floor, table: id, names = {} }) => {
    const { figures = [], unit = '' } = tables.find((each) => each.id === id) ?? {};
    const cells = COLUMNS.map((column) => {
      const name = names[column] ?? (column === 'this library' ? OURS.default : column);
      const figure = figures.find((each) => each.name === name);
      return figure === undefined ? name : figureText(figure.median, unit).replace(/x$/, '');
    });
    return [work, floor].concat(cells);
  });
  const text = markdownTable(['work', 'floor', ...COLUMNS], rows);
  return `${readme.slice(0, start + START.length)}\n\n${text}\n\n${readme.slice(end)}`;
}
