import { expect, it } from 'vitest';
import type { Table } from '../scenarios/scenario.js';
import { middleOf } from './middle-of.js';

const table = (id: string, ours: number): Table => ({
  id,
  title: id,
  unit: 'x',
  note: 'time',
  figures: [
    { name: 'floor', role: 'floor', lower: 1, median: 1, upper: 1 },
    { name: 'ours', role: 'ours', lower: ours - 1, median: ours, upper: ours + 2 },
  ],
});

it('takes the middle of each figure, table by table, and says so', () => {
  const tables = middleOf([
    [table('a', 3), table('b', 10)],
    [table('a', 9), table('b', 30)],
    [table('a', 4), table('b', 20)],
  ]);
  expect(
    tables.map(({ id, note, figures }) => [id, note, figures[1]?.lower, figures[1]?.median, figures[1]?.upper]),
  ).toEqual([
    ['a', 'time; the middle of 3 processes', 3, 4, 6],
    ['b', 'time; the middle of 3 processes', 19, 20, 22],
  ]);
});

it('leaves the tables of one process as they are', () => {
  expect(middleOf([[table('a', 3)]])).toEqual([table('a', 3)]);
});
