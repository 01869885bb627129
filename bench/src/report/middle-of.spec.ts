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

it('gives the median of each figure, table by table, and notes the number of processes', () => {
  const tables = middleOf([
    [table('a', 3), table('b', 10)],
    [table('a', 9), table('b', 30)],
    [table('a', 4), table('b', 20)],
  ]);
  expect(
    tables.map(({ id, note, figures }) => [id, note, figures[1]?.lower, figures[1]?.median, figures[1]?.upper]),
  ).toEqual([
    ['a', 'time; the median of 3 processes', 3, 4, 6],
    ['b', 'time; the median of 3 processes', 19, 20, 22],
  ]);
});

it('does not change the tables of one process', () => {
  expect(middleOf([[table('a', 3)]])).toEqual([table('a', 3)]);
});
