import type { Figure } from '../measure/rounds.js';
import type { Table } from '../scenarios/scenario.js';

/** Three significant digits, because the fourth is noise. */
export function figureText(figure: number, unit: string): string {
  if (!Number.isFinite(figure)) {
    return 'n/a';
  }
  const digits = figure >= 100 ? Math.round(figure).toLocaleString('en') : String(Number(figure.toPrecision(3)));
  return unit === 'x' ? `${digits}x` : `${digits} ${unit}`.trim();
}

/** `met` or `not met`, for the contestant that the goal applies to; `undefined` without a goal. */
export function verdictOf({ goal, figures }: Table): 'met' | 'not met' | undefined {
  const judged = judgedFigure({ goal, figures });
  return judged === undefined || goal === undefined ? undefined : judged.median <= goal.most ? 'met' : 'not met';
}

export function judgedFigure({ goal, figures }: Pick<Table, 'figures'> & { goal?: Table['goal'] }): Figure | undefined {
  return figures.find(({ name, role }) =>
    goal?.contestant === undefined ? role === 'ours' : name === goal.contestant,
  );
}

/** Rows from the smallest figure to the largest. */
export function rowsOf({ figures, unit }: Table): string[][] {
  return [...figures]
    .sort((a, b) => a.median - b.median)
    .map(({ name, role, median, lower, upper }) => [
      role === 'ours' ? `**${name}**` : name,
      figureText(median, unit),
      `${figureText(lower, unit)} to ${figureText(upper, unit)}`,
    ]);
}

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(3, ...all.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** A table as markdown, with its goal and whether it is met. */
export function tableText(table: Table): string {
  const { title, note, unit, goal } = table;
  const verdict = verdictOf(table);
  const goalText =
    goal === undefined ? '' : `\n\nGoal: at most ${figureText(goal.most, unit)}. **${verdict ?? 'not measured'}**`;
  const rows = rowsOf(table);
  return `### ${title}\n\n${note}\n\n${markdownTable(['', 'median', 'quartiles'], rows)}${goalText}\n`;
}
