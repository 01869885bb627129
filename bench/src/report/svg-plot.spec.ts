import { describe, expect, it } from 'vitest';
import type { Table } from '../scenarios/scenario.js';
import { svgPlot } from './svg-plot.js';

const table = (medians: readonly number[]): Table => ({
  id: 'l1',
  title: 'A <b> & "c"',
  unit: 'x',
  note: '1 is `lru.get`',
  goal: { most: 2 },
  figures: medians.map((median, at) => ({
    name: `contestant ${at}`,
    role: at === 0 ? 'ours' : 'peer',
    lower: median * 0.9,
    median,
    upper: median * 1.1,
  })),
});

const widths = (svg: string) => [...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));

describe('svgPlot', () => {
  it('draws bars in proportion if the figures differ little', () => {
    const [short = 0, long = 0] = widths(svgPlot(table([2, 4])));
    expect(long / short).toBeCloseTo(2, 1);
  });

  it('draws on a logarithmic scale, and labels it, if the figures differ much', () => {
    const svg = svgPlot(table([1, 100]));
    const [short = 0, long = 0] = widths(svg);
    expect(long / short).toBeLessThan(20);
    expect(svg).toContain('logarithmic');
  });

  it('keeps every bar within the picture', () => {
    for (const width of widths(svgPlot(table([0, 0.001, 3, 5000])))) {
      expect(width).toBeGreaterThanOrEqual(1);
      expect(width).toBeLessThanOrEqual(760 - 270 - 80);
    }
  });

  it('leaves out figures that were not measured', () => {
    expect(widths(svgPlot(table([1, Number.NaN, Number.POSITIVE_INFINITY])))).toHaveLength(1);
  });

  it('escapes text and has colours for a dark page', () => {
    const svg = svgPlot(table([1]));
    expect(svg).toContain('A &lt;b&gt; &amp; &quot;c&quot;');
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).not.toContain('`');
  });
});
