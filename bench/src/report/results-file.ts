import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Table } from '../scenarios/scenario.js';
import { withSpeedTable } from './readme-table.js';
import { svgPlot } from './svg-plot.js';
import { figureText, judgedFigure, markdownTable, tableText, verdictOf } from './text-table.js';

const FOLDER = fileURLToPath(new URL('../../', import.meta.url));
/** The tables that are also drawn. */
const PLOTTED = new Set(['l1', 'method', 'bytes', 'l2', 'l2-cpu', 'many', 'set', 'heap', 'propagation']);
const PEERS = [
  '@epic-web/cachified',
  '@keyv/redis',
  '@nestjs/cache-manager',
  '@type-cacheable/core',
  'async-cache-dedupe',
  'bentocache',
  'cache-manager',
  'cacheable',
  'ioredis',
  'lru-cache',
];

export interface RunFacts {
  readonly seed: number;
  readonly tables: readonly Table[];
}

/** Writes `RESULTS.md`, the plots beside it, and the table of the README. */
export function writeResults({ seed, tables }: RunFacts): void {
  mkdirSync(`${FOLDER}plots`, { recursive: true });
  for (const table of tables.filter(({ id }) => PLOTTED.has(id))) {
    writeFileSync(`${FOLDER}plots/${table.id}.svg`, svgPlot(table));
  }
  writeFileSync(`${FOLDER}RESULTS.md`, resultsText({ seed, tables }));
  const readme = `${FOLDER}../README.md`;
  writeFileSync(readme, withSpeedTable(readFileSync(readme, 'utf8'), tables));
}

function resultsText({ seed, tables }: RunFacts): string {
  const head = [
    '# Results',
    'Written by `npm run bench`. [README.md](README.md) describes the method and the configuration of each contestant. Figures are medians',
    'with quartiles; `x` is the ratio to the floor of the same round. They are valid for one run on one machine.',
    `Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'processor'}, ${process.platform}; Redis on the same machine, over loopback; seed ${seed}.`,
    `Versions: ${PEERS.map((name) => `${name} ${versionOf(name)}`).join(', ')}.`,
  ];
  const sections = tables.map((table) => {
    const plot = PLOTTED.has(table.id) ? `\n![${table.title}](plots/${table.id}.svg)\n` : '';
    return `${tableText(table)}${plot}`;
  });
  const intro = `${head[0]}\n\n${head.slice(1, 3).join('\n')}\n\n${head.slice(3).join('\n\n')}\n`;
  return [intro, '## Goals\n', goalsText(tables), '\n## Tables\n', sections.join('\n')].join('\n');
}

/** One line per goal: the goal, the measured figure, whether it is met. */
export function goalsText(tables: readonly Table[]): string {
  const rows = tables.flatMap((table) => {
    const figure = judgedFigure(table);
    return table.goal === undefined || figure === undefined
      ? []
      : [
          [
            table.title,
            figureText(table.goal.most, table.unit),
            figureText(figure.median, table.unit),
            verdictOf(table) ?? '',
          ],
        ];
  });
  return markdownTable(['work', 'goal, at most', 'measured', ''], rows);
}

function versionOf(name: string): string {
  let folder = import.meta.url;
  for (;;) {
    const parent = new URL('..', folder).href;
    try {
      const text = readFileSync(new URL(`node_modules/${name}/package.json`, parent), 'utf8');
      return String((JSON.parse(text) as { version: unknown }).version);
    } catch {
      if (parent === folder || parent.endsWith('///')) {
        return '?';
      }
      folder = parent;
    }
  }
}
