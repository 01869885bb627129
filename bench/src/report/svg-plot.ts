import type { Figure } from '../measure/rounds.js';
import type { Table } from '../scenarios/scenario.js';
import { figureText } from './text-table.js';

const WIDTH = 760;
const ROW = 26;
const TOP = 56;
const LABELS = 270;
const RIGHT = 80;
const LOG_FROM = 20;

/** The colours follow the colour scheme of the browser, also inside an `<img>`. */
const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .quiet { fill: #59636e; font-size: 12px; }
  .ours { font-weight: 600; }
  .bar { fill: #8c959f; }
  .bar.floor { fill: #c4ccd4; }
  .bar.ours { fill: #0969da; }
  .spread { stroke: #1f2328; stroke-width: 1.5; }
  .goal { stroke: #1a7f37; stroke-width: 1.5; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .bar { fill: #656c76; }
    .bar.floor { fill: #3d444d; }
    .bar.ours { fill: #4493f8; }
    .spread { stroke: #e6edf3; }
    .goal { stroke: #3fb950; }
  }`;

/** Draws a bar with quartiles per contestant and a line at the goal; the scale is logarithmic if the figures differ much. */
export function svgPlot(table: Table): string {
  const figures = [...table.figures]
    .filter(({ median }) => Number.isFinite(median))
    .sort((a, b) => a.median - b.median);
  const height = TOP + figures.length * ROW + 34;
  const toX = scaleOf(figures, table.goal?.most);
  const bottom = TOP + figures.length * ROW;
  const isLog = isLogarithmic(figures);
  const quiet = `${plain(table.note)}${isLog ? ' (logarithmic scale)' : ''}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(table.title)}">`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="0" y="18">${escaped(table.title)}</text>`,
    `<text class="quiet" x="0" y="37">${escaped(quiet)}</text>`,
    ...figures.map((figure, at) => rowOf(figure, table.unit, TOP + at * ROW, toX)),
    ...goalLine(table, toX, bottom),
    '</svg>',
    '',
  ].join('\n');
}

function rowOf({ name, role, lower, median, upper }: Figure, unit: string, y: number, toX: (value: number) => number) {
  const middle = y + ROW / 2;
  const end = toX(median);
  const textClass = role === 'ours' ? ' class="ours"' : '';
  return [
    `<text${textClass} x="${LABELS - 10}" y="${middle + 4}" text-anchor="end">${escaped(name)}</text>`,
    `<rect class="bar ${role}" x="${LABELS}" y="${y + 4}" width="${rounded(Math.max(1, end - LABELS))}" height="${ROW - 9}" rx="2"/>`,
    `<line class="spread" x1="${rounded(toX(lower))}" x2="${rounded(toX(upper))}" y1="${middle}" y2="${middle}"/>`,
    `<text${textClass} x="${rounded(Math.max(end, toX(upper)) + 8)}" y="${middle + 4}">${escaped(figureText(median, unit))}</text>`,
  ].join('\n');
}

function goalLine({ goal, unit }: Table, toX: (value: number) => number, bottom: number): string[] {
  if (goal === undefined) {
    return [];
  }
  const x = rounded(toX(goal.most));
  return [
    `<line class="goal" x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom + 4}"/>`,
    `<text class="quiet" x="${x}" y="${bottom + 20}" text-anchor="middle">goal ${escaped(figureText(goal.most, unit))}</text>`,
  ];
}

function isLogarithmic(figures: readonly Figure[]): boolean {
  const medians = figures.map(({ median }) => median);
  return Math.min(...medians) > 0 && Math.max(...medians) / Math.min(...medians) > LOG_FROM;
}

function scaleOf(figures: readonly Figure[], goal = 0): (value: number) => number {
  const largest = Math.max(goal, ...figures.map(({ upper }) => upper), Number.MIN_VALUE);
  const width = WIDTH - LABELS - RIGHT;
  if (!isLogarithmic(figures)) {
    return (value) => LABELS + (Math.max(0, value) / largest) * width;
  }
  const smallest = Math.min(...figures.map(({ lower, median }) => (lower > 0 ? lower : median))) / 2;
  const decades = Math.log(largest / smallest);
  return (value) => LABELS + Math.max(0, Math.log(Math.max(value, smallest) / smallest) / decades) * width;
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The text of a note without its markdown. */
function plain(text: string): string {
  return text.replaceAll('`', '');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
