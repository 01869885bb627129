import { dashboards } from './dashboards.js';
import { ALERTMANAGER, rulesFile } from './rules.js';

/**
 * The files of the package for Grafana, Prometheus and Alertmanager, by path.
 * @param homepage the address of the repository, for the links to the runbook
 */
export function monitoringFiles(homepage: string): Map<string, string> {
  const runbook = `${homepage.replace(/#.*$/, '')}/blob/HEAD/docs/operations.md`;
  return new Map([
    ...[...dashboards()].map(
      ([name, board]) => [`grafana/${name}.json`, `${JSON.stringify(board, undefined, 2)}\n`] as const,
    ),
    ['prometheus/rules.yml', rulesFile(runbook)],
    ['prometheus/alertmanager.example.yml', ALERTMANAGER],
  ]);
}
