import type { Series } from './prometheus-server.js';

/** A panel with what Prometheus has answered. */
export interface DrawnPanel {
  readonly title: string;
  readonly unit: string;
  readonly curves: readonly { readonly legend: string; readonly series: Series }[];
}

const [WIDTH, HEIGHT, GAP, HEAD] = [480, 190, 16, 48];
/** The part of a panel in which the curves are. */
const PLOT = { left: 56, right: 12, top: 30, bottom: 42 };
/** Colours that are told apart without red and green (Okabe and Ito). */
const COLORS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8a7d00', '#555555'];
const MOST_LEGENDS = 4;

/** The panels of a dashboard as SVG, two in a row, each with its curves and the names of the first of them. */
export function pictureOf(title: string, panels: readonly DrawnPanel[]): string {
  const rows = Math.ceil(panels.length / 2);
  const [width, height] = [2 * WIDTH + 3 * GAP, HEAD + rows * (HEIGHT + GAP)];
  const drawn = panels.map((panel, index) => {
    const [x, y] = [GAP + (index % 2) * (WIDTH + GAP), HEAD + Math.floor(index / 2) * (HEIGHT + GAP)];
    return `<g transform="translate(${x} ${y})">\n${panelOf(panel)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#f4f5f7"/>`,
    text(GAP, 30, title, 'font-size="18" font-weight="bold" fill="#1d2129"'),
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function panelOf({ title, unit, curves }: DrawnPanel): string {
  const points = curves.map(({ series }) => numbersOf(series));
  const all = points.flat();
  const seconds = all.map(([at]) => at);
  const [from, to] = [Math.min(...seconds), Math.max(...seconds)];
  const highest = Math.max(...all.map(([, value]) => value), 0) || 1;
  const x = (at: number): number => PLOT.left + ((at - from) / (to - from || 1)) * (WIDTH - PLOT.left - PLOT.right);
  const y = (value: number): number => HEIGHT - PLOT.bottom - (value / highest) * (HEIGHT - PLOT.top - PLOT.bottom);
  const lines = points.map(
    (curve, index) =>
      `<polyline fill="none" stroke-width="1.5" stroke="${colorOf(index)}" points="${curve.map(([at, value]) => `${rounded(x(at))},${rounded(y(value))}`).join(' ')}"/>`,
  );
  const axis = [0, 0.5, 1].map((share) => {
    const at = rounded(y(share * highest));
    const line = `<path d="M${PLOT.left} ${at}H${WIDTH - PLOT.right}" stroke="#dfe2e6"/>`;
    return line + text(PLOT.left - 6, at + 4, labelOf(share * highest, unit), 'text-anchor="end" fill="#555b65"');
  });
  return [
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="4" fill="#ffffff" stroke="#dfe2e6"/>`,
    text(12, 19, title, 'font-weight="bold" fill="#1d2129"'),
    ...axis,
    ...lines,
    ...legendOf(curves.map(({ legend }) => legend)),
  ].join('\n');
}

function legendOf(names: readonly string[]): string[] {
  const shown = names.slice(0, MOST_LEGENDS).map((name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name));
  const more = names.length > shown.length ? [`and ${names.length - shown.length} more`] : [];
  let x = PLOT.left;
  let y = HEIGHT - 24;
  return [...shown, ...more].map((name, index) => {
    const width = 24 + name.length * 6.6;
    if (x + width > WIDTH) {
      [x, y] = [PLOT.left, y + 14];
    }
    const mark =
      index < shown.length ? `<rect x="${x}" y="${y - 4}" width="10" height="3" fill="${colorOf(index)}"/>` : '';
    const label = mark + text(x + 14, y, name, 'fill="#333a44"');
    x += width;
    return label;
  });
}

/** The curve as numbers: where a quotient has no value there is none. */
function numbersOf({ values = [] }: Series): (readonly [at: number, value: number])[] {
  return values.map(([at, value]) => [at, Number(value)] as const).filter(([, value]) => Number.isFinite(value));
}

function labelOf(value: number, unit: string): string {
  if (unit === 'percentunit') {
    return `${Number((value * 100).toPrecision(2))} %`;
  }
  const plain = value >= 100 ? Math.round(value) : Number(value.toPrecision(2));
  return unit === 's' ? (value < 1 ? `${Number((value * 1000).toPrecision(2))} ms` : `${plain} s`) : String(plain);
}

const colorOf = (index: number): string => COLORS[index % COLORS.length] ?? '#000000';
const rounded = (value: number): number => Math.round(value * 10) / 10;
const text = (x: number, y: number, content: string, style: string): string =>
  `<text x="${x}" y="${y}" ${style}>${escaped(content)}</text>`;

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
