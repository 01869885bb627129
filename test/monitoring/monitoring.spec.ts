import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { WITHOUT_PANEL } from '../../libs/distributed-cache/monitoring/dashboards.js';
import { monitoringFiles } from '../../libs/distributed-cache/monitoring/files.js';
import { ALERTS } from '../../libs/distributed-cache/monitoring/rules.js';
import {
  COUNTERS,
  GAUGES,
  HISTOGRAMS,
  PROCESS_COUNTERS,
  PROCESS_GAUGES,
} from '../../libs/distributed-cache/src/events/index.js';
import { findPrometheus } from '../../scripts/find-redis.mjs';
import { ALERT_CASES, AT_MINUTES } from './alert-cases.js';
import { BOARDS, metricsOf, PANEL_EXPRESSIONS, RULE_EXPRESSIONS } from './boards.js';

const LIBRARY = fileURLToPath(new URL('../../libs/distributed-cache', import.meta.url));
const { homepage } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8')) as { homepage: string };

/** The rows of all metrics; a counter without a metric is in the JSON form only. */
const rows = Object.values({ ...COUNTERS, ...GAUGES, ...PROCESS_COUNTERS, ...PROCESS_GAUGES });
const exported = new Set([
  ...rows.flatMap((row) => ('metric' in row ? row.metric : [])),
  ...HISTOGRAMS.flatMap(({ metric, needs }) => (needs === undefined ? [metric] : [])),
  'cache_build_info',
]);

describe('the files of the package', () => {
  it.each([...monitoringFiles(homepage)])('%s is what npm run monitoring writes', (path, text) => {
    expect(readFileSync(join(LIBRARY, path), 'utf8')).toBe(text);
  });

  it('name the metrics that the library exports, and no other', () => {
    const named = [...PANEL_EXPRESSIONS, ...RULE_EXPRESSIONS].flatMap(metricsOf);
    expect(named.filter((name) => !exported.has(name))).toEqual([]);
  });

  it('show every metric in a panel, except those that exist on request', () => {
    const shown = new Set(PANEL_EXPRESSIONS.flatMap(metricsOf));
    expect([...exported].filter((name) => !shown.has(name))).toEqual([]);
    expect(WITHOUT_PANEL.filter((name) => exported.has(name))).toEqual([]);
  });
});

describe.each(BOARDS)('the dashboard %s', (_name, board) => {
  it('has a uid, a title, a tag, and variables for the data source, the application, the process and the namespace', () => {
    expect(board.uid).toMatch(/^ndc-\w+$/);
    expect(board.title).not.toBe('');
    expect(board.tags).toEqual(['nestjs-distributed-cache']);
    expect(board.templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance', 'namespace']);
  });

  it('has a title, a description, a unit, a legend and the chosen data source on each panel', () => {
    for (const panel of board.panels) {
      expect(panel).toMatchObject({ title: expect.stringMatching(/\w/), description: expect.stringMatching(/\.$/) });
      expect(panel.fieldConfig.defaults.unit).toMatch(/\w/);
      expect(panel.options.legend.showLegend).toBe(true);
      expect(panel.datasource.uid).toBe('$datasource');
      expect(panel.targets.map(({ legendFormat }) => legendFormat)).not.toContain('');
    }
  });

  it('follows the interval of the dashboard in every rate, and the variables in every selector', () => {
    for (const { expr } of board.panels.flatMap(({ targets }) => targets)) {
      expect(expr.match(/\[[^\]]*\]/g)?.filter((range) => range !== '[$__rate_interval]') ?? []).toEqual([]);
      for (const [, labels] of expr.matchAll(/cache_\w+\{([^}]*)\}/g)) {
        expect(labels).toContain('job=~"$job",instance=~"$instance"');
      }
      expect(expr.match(/cache_\w+(?!\w|\{)/g) ?? []).toEqual([]);
    }
  });
});

describe('the alerts', () => {
  const promtool = findPrometheus('promtool');
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('each have a heading of the runbook, a case that fires and one that does not', () => {
    const runbook = readFileSync(join(LIBRARY, '../../docs/operations.md'), 'utf8');
    for (const { alert } of ALERTS) {
      expect(runbook).toContain(`\n### ${alert}\n`);
    }
    expect(Object.keys(ALERT_CASES).toSorted()).toEqual(ALERTS.map(({ alert }) => alert).toSorted());
  });

  it.runIf(promtool !== undefined).each(Object.entries(ALERT_CASES))(
    '%s fires when it should, and only then',
    (alert, alertCase) => {
      for (const kind of ['firing', 'silent'] as const) {
        const series = Object.entries(alertCase[kind]).map(([name, values]) => ({ series: name, values }));
        const test = {
          rule_files: [join(LIBRARY, 'prometheus/rules.yml')],
          evaluation_interval: '5m', // two days are evaluated: each minute would take five times as long
          tests: [
            {
              interval: '1m',
              input_series: series,
              promql_expr_test: [
                {
                  expr: `count(ALERTS{alertname="${alert}", alertstate="firing", ${alertCase.labels}}) or vector(0)`,
                  eval_time: `${AT_MINUTES}m`,
                  exp_samples: [{ labels: '{}', value: kind === 'firing' ? 1 : 0 }],
                },
              ],
            },
          ],
        };
        const path = join(folder, `${alert}-${kind}.yml`);
        writeFileSync(path, JSON.stringify(test));
        const { status, stdout, stderr } = spawnSync(promtool ?? '', ['test', 'rules', path], { encoding: 'utf8' });
        expect(`${kind} ${status} ${status === 0 ? '' : stdout + stderr}`).toBe(`${kind} 0 `);
      }
    },
  );
});
