import type { FaultResult } from './run-fault.js';

const COLUMNS: readonly (readonly [title: string, cell: (result: FaultResult) => string])[] = [
  ['Fault', ({ fault }) => fault.name],
  ['calls', ({ calls }) => String(calls)],
  ['errors', ({ errors }) => String(errors)],
  ['longest wait', ({ longestMs }) => ms(longestMs)],
  ['median', ({ medianMs }) => ms(medianMs)],
  ['over 100 ms', ({ slow }) => String(slow)],
  ['longest of the other process', ({ otherLongestMs }) => ms(otherLongestMs)],
  ['Redis used again after', ({ backMs }) => (backMs === undefined ? 'never' : ms(backMs))],
  ['stale reads', ({ ownStale, otherStale }) => String(ownStale + otherStale)],
  ['longest disagreement', ({ longestStaleMs }) => ms(longestStaleMs)],
  ['diverged', ({ diverged }) => String(diverged.length)],
  ['unsettled', ({ unsettled }) => String(unsettled)],
  ['loop held up', ({ loopDelayMs }) => ms(loopDelayMs)],
];

/** The measurements as a Markdown table with aligned columns. */
export function faultTable(results: readonly FaultResult[]): string {
  const rows = [COLUMNS.map(([title]) => title), ...results.map((result) => COLUMNS.map(([, cell]) => cell(result)))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  const bystanders = results.flatMap(({ fault, bystandersSlow, bystandersServed }) =>
    bystandersSlow === undefined
      ? []
      : [
          `${fault.name}: of the other slots ${percent(bystandersServed)} were served by Redis, ${bystandersSlow} slowly`,
        ],
  );
  return [...lines, ...bystanders].join('\n');
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function percent(value: number | undefined): string {
  return `${Math.round((value ?? 0) * 100)} %`;
}
