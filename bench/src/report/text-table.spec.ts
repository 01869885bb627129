import { describe, expect, it } from 'vitest';
import type { Figure } from '../measure/rounds.js';
import type { Table } from '../scenarios/scenario.js';
import { figureText, markdownTable, tableText, verdictOf } from './text-table.js';

const figure = (name: string, role: Figure['role'], median: number): Figure => ({
  name,
  role,
  lower: median * 0.9,
  median,
  upper: median * 1.1,
});

const tableOf = (ours: number, goal?: Table['goal']): Table => ({
  id: 'l1',
  title: 'L1 hit',
  unit: 'x',
  note: '1 is the floor',
  figures: [figure('slow', 'peer', 20), figure('we', 'ours', ours), figure('floor', 'floor', 1)],
  ...(goal === undefined ? {} : { goal }),
});

describe('figureText', () => {
  it.each([
    [1.2345, 'x', '1.23x'],
    [12.345, 'ms', '12.3 ms'],
    [5204.4, 'B', '5,204 B'],
    [1, '', '1'],
    [Number.POSITIVE_INFINITY, 'ms', 'n/a'],
    [Number.NaN, 'x', 'n/a'],
  ])('writes %d %s as %s', (value, unit, text) => {
    expect(figureText(value, unit)).toBe(text);
  });
});

describe('verdictOf', () => {
  it('is met up to the goal, and not above it', () => {
    expect(verdictOf(tableOf(1.2, { most: 1.2 }))).toBe('met');
    expect(verdictOf(tableOf(1.21, { most: 1.2 }))).toBe('not met');
  });

  it('judges the contestant that the goal names', () => {
    expect(verdictOf(tableOf(1, { most: 1.2, contestant: 'slow' }))).toBe('not met');
  });

  it('is not met by a figure that was not measured', () => {
    expect(verdictOf(tableOf(Number.NaN, { most: 1.2 }))).toBe('not met');
  });

  it('is undefined without a goal', () => {
    expect(verdictOf(tableOf(1))).toBeUndefined();
  });
});

describe('tableText', () => {
  it('sorts by the median, marks this library and shows the goal', () => {
    const text = tableText(tableOf(1.5, { most: 1.2 }));
    const names = [...text.matchAll(/^\| ([\w*]+) /gm)].map(([, name]) => name);
    expect(names).toEqual(['floor', '**we**', 'slow']);
    expect(text).toContain('Goal: at most 1.2x. **not met**');
  });
});

describe('markdownTable', () => {
  it('pads every column to its widest cell', () => {
    expect(markdownTable(['a', 'bb'], [['long one', 'x']])).toBe(
      ['| a        | bb  |', '| -------- | --- |', '| long one | x   |'].join('\n'),
    );
  });
});
