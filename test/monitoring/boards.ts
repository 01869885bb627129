import { dashboards } from '../../libs/distributed-cache/monitoring/dashboards.js';
import { ALERTS, RECORDING_RULES } from '../../libs/distributed-cache/monitoring/rules.js';

/** A panel as Grafana reads it, as far as the checks look at it. */
export interface Panel {
  readonly title: string;
  readonly description: string;
  readonly datasource: { readonly uid: string };
  readonly fieldConfig: { readonly defaults: { readonly unit: string } };
  readonly options: { readonly legend: { readonly showLegend: boolean } };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export interface Board {
  readonly uid: string;
  readonly title: string;
  readonly tags: readonly string[];
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
}

/** The dashboards by the name of their file, as JSON. */
export const BOARDS = [...dashboards()].map(
  ([name, board]) => [name, JSON.parse(JSON.stringify(board)) as Board] as const,
);

/** The expressions of all panels. */
export const PANEL_EXPRESSIONS = BOARDS.flatMap(([, board]) =>
  board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
);

/** The expressions of all rules. */
export const RULE_EXPRESSIONS = [...RECORDING_RULES.map(({ expr }) => expr), ...ALERTS.map(({ expr }) => expr)];

/** The metrics that an expression names: a series of a histogram counts as the histogram. */
export function metricsOf(expr: string): string[] {
  const names = [...expr.matchAll(/(?<![\w:])cache_\w+/g)].map(([name]) => name);
  return names.map((name) => name.replace(/_(bucket|count|sum)$/, '')).filter((name) => !expr.includes(`:${name}`));
}
