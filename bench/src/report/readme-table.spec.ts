import { describe, expect, it } from 'vitest';
import { OURS } from '../contestants/local-hit.js';
import type { Figure } from '../measure/rounds.js';
import type { Table } from '../scenarios/scenario.js';
import { withSpeedTable } from './readme-table.js';

function figure(name: string, median: number): Figure {
  return { name, role: 'peer', lower: median, median, upper: median };
}

function table(id: string, unit: string, figures: Figure[]): Table {
  return { id, title: id, unit, note: '', figures };
}

const README = '# Title\n\n<!-- bench:speed -->\n\nold\n\n<!-- /bench -->\n\nThe rest\n';

describe('the table of the README', () => {
  it('has the figures of the run, own copies and shared objects in a row each', () => {
    const tables = [
      table('l1', 'x', [
        figure(OURS.default, 5.31),
        figure(OURS.frozen, 1.13),
        figure('cacheable', 22.4),
        figure('cacheable, its defaults', 45),
      ]),
      table('set', 'x', [figure(OURS.default, 1.24)]),
    ];
    const text = withSpeedTable(README, tables);
    const cellsOf = (work: string) =>
      (text.split('\n').find((line) => line.startsWith(`| ${work}`)) ?? '').split('|').map((cell) => cell.trim());
    expect(cellsOf('L1 hit, 1 KB object, each')).toMatchObject({ 3: '5.31', 6: '45' });
    expect(cellsOf('L1 hit, 1 KB object that')).toMatchObject({ 3: '1.13', 6: '22.4' });
    expect(cellsOf('set of 1 KB')).toMatchObject({ 3: '1.24', 5: 'does not notify' });
  });

  it('replaces the previous one and nothing else', () => {
    const text = withSpeedTable(README, []);
    expect(text).not.toContain('old');
    expect(text.startsWith('# Title\n\n<!-- bench:speed -->\n\n| work')).toBe(true);
    expect(text.endsWith('|\n\n<!-- /bench -->\n\nThe rest\n')).toBe(true);
    expect(withSpeedTable(text, [])).toBe(text);
  });

  it('needs a place', () => {
    expect(() => withSpeedTable('# Title', [])).toThrow('README.md has no <!-- bench:speed -->');
  });
});
