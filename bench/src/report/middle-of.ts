import type { Figure } from '../measure/rounds.js';
import { median } from '../measure/statistics.js';
import type { Table } from '../scenarios/scenario.js';

/** Merges the tables of several processes: the median of each figure and of each of its quartiles. */
export function middleOf(runs: readonly (readonly Table[])[]): Table[] {
  const [first = []] = runs;
  return runs.length === 1 ? [...first] : first.map((table) => middleTable(table, tablesOf(runs, table.id)));
}

function middleTable(table: Table, all: readonly Table[]): Table {
  const figures = table.figures.map(({ name, role }): Figure => {
    const own = all.flatMap((each) => each.figures.filter((figure) => figure.name === name));
    const middle = (measure: 'lower' | 'median' | 'upper') => median(own.map((figure) => figure[measure]));
    return { name, role, lower: middle('lower'), median: middle('median'), upper: middle('upper') };
  });
  return { ...table, note: `${table.note}; the median of ${all.length} processes`, figures };
}

function tablesOf(runs: readonly (readonly Table[])[], id: string): Table[] {
  return runs.flatMap((tables) => tables.filter((table) => table.id === id));
}
