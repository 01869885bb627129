import { once } from 'node:events';
import { createWriteStream, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WITHOUT_PANEL } from '../../libs/distributed-cache/monitoring/dashboards.js';
import { ALERTS, RECORDING_RULES } from '../../libs/distributed-cache/monitoring/rules.js';
import { findPrometheus } from '../../scripts/find-redis.mjs';
import { RedisServer } from '../support/redis-server.js';
import { type Board, BOARDS, metricsOf } from './boards.js';
import { Demos } from './demos.js';
import { pictureOf } from './picture.js';
import { type Job, PrometheusServer, promtool, runProgram, type Series, until } from './prometheus-server.js';

/*
 * Whether each expression of the dashboards and rules has data: in a real Prometheus, over three processes of the demo and two
 * days of history. Then Redis is killed, and the alert must fire.
 */

const LIBRARY = fileURLToPath(new URL('../../libs/distributed-cache', import.meta.url));
const RULES = join(LIBRARY, 'prometheus/rules.yml');
const ALERTMANAGER = join(LIBRARY, 'prometheus/alertmanager.example.yml');

const PROCESSES = 3;
const JOB = 'demo';
/** The part of time that stands for `$__rate_interval`: with data of the running processes only, and with history. */
const LIVE_WINDOW = '15s';
const HISTORY_WINDOW = '30m';

const DAY = 86_400;
const HISTORY = 2 * DAY;
/** The history has a sample every ten minutes, and every two minutes where the rules look at yesterday. */
const STEP = 600;
const FINE_STEP = 120;

/** The scrape of a job that lacks one metric: it shows that the check notices that. */
const without = (metric: string): string => `without ${metric}`;
const NOTHING = 'nothing';

/** @returns lines that say what was checked @throws Error that names each expression without data */
export async function checkDashboards(picturesTo: string): Promise<string[]> {
  const redis = await RedisServer.start();
  const prometheus = new PrometheusServer();
  const demos = new Demos(redis.url);
  try {
    await demos.start(PROCESSES);
    await demos.askAll(0);
    const metrics = await demos.metrics();
    const names = [...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '');
    const now = Math.floor(Date.now() / 1000 / STEP) * STEP;
    await fillHistory(prometheus, metrics, demos.targets, now);
    const rules = join(prometheus.folder, 'rules.yml');
    writeFileSync(rules, readFileSync(RULES, 'utf8').replaceAll('for: 1m\n', 'for: 2s\n'));
    const mutants = [NOTHING, ...names.filter((name) => !WITHOUT_PANEL.includes(name))];
    const slow = mutants.map((drop, index): Job => ({
      name: without(drop),
      targets: [demos.targets[index % PROCESSES] ?? ''],
      interval: '4s',
      drop,
    }));
    await prometheus.start([{ name: JOB, targets: demos.targets, interval: '1s' }, ...slow], [rules]);
    const stopAsking = demos.keepAsking();
    const checks = new Checks(prometheus);
    await until('data for every expression', async () => {
      const missing = [...(await checks.withoutData(JOB)), ...(await checks.withoutData(without(NOTHING)))];
      return missing.length === 0 || missing.join('\n  ');
    });
    await checks.rulesWork();
    await checks.noticesTheLossOf(names);
    await checks.draw(picturesTo, now);
    await stopAsking();
    await checks.firesWithout(redis, demos.targets);
    const expressions = BOARDS.flatMap(([, board]) => board.panels.flatMap(({ targets }) => targets)).length;
    return [
      `${expressions} expressions of ${BOARDS.length} dashboards and ${RECORDING_RULES.length + ALERTS.length} rules have data of ${PROCESSES} processes and two days`,
      `the loss of each of ${names.length} metrics is noticed; CacheRedisUnavailable fires for ${PROCESSES} processes once Redis is killed`,
      checkAlertmanager(),
    ];
  } finally {
    await demos.stop();
    await prometheus.remove();
    await redis.stop();
  }
}

/** The checks of a Prometheus that has the data. */
class Checks {
  constructor(private readonly prometheus: PrometheusServer) {}

  /** The expressions that have no data of a job at this moment. @param metric only those that name it */
  async withoutData(job: string, metric?: string): Promise<string[]> {
    const missing: string[] = [];
    for (const [, board] of BOARDS) {
      const { values, empty } = await this.variables(board, job);
      missing.push(...empty);
      for (const { title, targets } of board.panels) {
        for (const { expr } of targets.filter(
          (target) => metric === undefined || metricsOf(target.expr).includes(metric),
        )) {
          if (!hasNumber(await this.prometheus.query(filled(expr, values, LIVE_WINDOW)))) {
            missing.push(`${job}: ${board.title}, ${title}: ${expr}`);
          }
        }
      }
    }
    return missing;
  }

  /** Every rule can be evaluated and has data to look at, also of yesterday, and no alert fires on a sound application. */
  async rulesWork(): Promise<void> {
    const expressions = [...RECORDING_RULES.map(({ record }) => record), ...ALERTS.flatMap(({ data }) => data)];
    await until('data for every rule', async () => {
      const found = await Promise.all(
        expressions.map(async (expr) => hasNumber((await this.prometheus.query(expr)).filter(isOf(JOB))) || expr),
      );
      return found.filter((expr) => expr !== true).join('\n  ') || true;
    });
    const { groups } = await this.prometheus.api<{ groups: { rules: { name: string; lastError?: string }[] }[] }>(
      'rules',
    );
    const failed = groups.flatMap((group) => group.rules.filter(({ lastError }) => lastError !== undefined));
    const firing = (await this.prometheus.alerts()).filter(({ state }) => state === 'firing');
    if (failed.length > 0 || firing.length > 0) {
      throw new Error(`rules that fail: ${JSON.stringify(failed)}; alerts of a sound demo: ${JSON.stringify(firing)}`);
    }
  }

  /** For each metric there is a scrape without it: one of the expressions that name it must be found to have no data. */
  async noticesTheLossOf(names: readonly string[]): Promise<void> {
    const unnoticed: string[] = [];
    for (const name of names.filter((metric) => !WITHOUT_PANEL.includes(metric))) {
      if ((await this.withoutData(without(name), name)).length === 0) {
        unnoticed.push(name);
      }
    }
    if (unnoticed.length > 0) {
      throw new Error(`no expression misses ${unnoticed.join(', ')}`);
    }
  }

  /** Draws what the queries of each dashboard answer over the two days. */
  async draw(folder: string, now: number): Promise<void> {
    mkdirSync(folder, { recursive: true });
    for (const [name, board] of BOARDS) {
      const { values } = await this.variables(board, JOB);
      const panels = [];
      for (const panel of board.panels) {
        const curves: { legend: string; series: Series }[] = [];
        for (const { expr, legendFormat } of panel.targets) {
          const found = await this.prometheus.range(filled(expr, values, HISTORY_WINDOW), now - DAY, now, 3 * STEP);
          if (!hasNumber(found)) {
            throw new Error(`${board.title}, ${panel.title} has no history: ${expr}`);
          }
          curves.push(...found.map((series) => ({ legend: legendOf(legendFormat, series), series })));
        }
        panels.push({ title: panel.title, unit: panel.fieldConfig.defaults.unit, curves });
      }
      writeFileSync(join(folder, `${name}.svg`), pictureOf(board.title, panels));
    }
  }

  /** Redis is killed: the alert fires for each process. */
  async firesWithout(redis: RedisServer, targets: readonly string[]): Promise<void> {
    await redis.killHard();
    await until('CacheRedisUnavailable of each process', async () => {
      const alerts = (await this.prometheus.alerts()).filter(
        ({ labels, state }) =>
          labels['alertname'] === 'CacheRedisUnavailable' && labels['job'] === JOB && state === 'firing',
      );
      const missing = targets.filter((target) => !alerts.some(({ labels }) => labels['instance'] === target));
      return missing.length === 0 || missing.join(', ');
    });
  }

  /** The values of the variables of a dashboard, with all chosen, as Grafana puts them into an expression. */
  private async variables(board: Board, job: string): Promise<{ values: Map<string, string>; empty: string[] }> {
    const values = new Map([['job', job]]);
    const empty: string[] = [];
    for (const { name, query } of board.templating.list) {
      const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(query) ?? [];
      if (label !== '') {
        const found = await this.prometheus.api<string[]>(`label/${label}/values`, {
          'match[]': filled(selector, values, LIVE_WINDOW),
        });
        if (found.length === 0) {
          empty.push(`${job}: ${board.title}, variable ${name}: ${query}`);
        }
        values.set(name, values.get(name) ?? found.map((value) => value.replace(/[.]/g, '\\\\.')).join('|'));
      }
    }
    return { values, empty };
  }
}

/** An expression with the values of the variables. */
function filled(expr: string, values: ReadonlyMap<string, string>, window: string): string {
  return expr
    .replaceAll('$__rate_interval', window)
    .replaceAll(/\$(\w+)/g, (name, variable: string) => values.get(variable) ?? name);
}

function legendOf(format: string, { metric }: Series): string {
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '');
}

/** Whether there is a number: a quotient of two zeros is none. */
function hasNumber(found: readonly Series[]): boolean {
  return found.some(({ value, values = [] }) =>
    [...values, ...(value ? [value] : [])].some(([, text]) => Number.isFinite(Number(text))),
  );
}

const isOf =
  (job: string) =>
  ({ metric }: Series): boolean =>
    metric['job'] === job;

/**
 * Two days of history, made of the metrics of one process: each counter has risen to its value in two waves, for each process.
 * The recorded series of yesterday are computed from it, as `promtool` does for rules that are new.
 */
async function fillHistory(
  prometheus: PrometheusServer,
  metrics: string,
  targets: readonly string[],
  now: number,
): Promise<void> {
  const file = join(prometheus.folder, 'history.txt');
  const yesterday = now - DAY - 2 * 3600;
  const moments = new Set<number>();
  for (let at = now - HISTORY; at <= now; at += STEP) {
    moments.add(at);
  }
  for (let at = yesterday; at <= yesterday + 3 * 3600; at += FINE_STEP) {
    moments.add(at);
  }
  const inOrder = [...moments].toSorted((one, other) => one - other);
  const series = [...metrics.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)];
  const isCounter = (name: string): boolean => /_(total|bucket|count|sum)$/.test(name);
  const out = createWriteStream(file);
  for (const instance of targets) {
    for (const [, name = '', labels = '', value = ''] of series) {
      const all = `${name}{${labels}${labels === '' ? '' : ','}job="${JOB}",instance="${instance}"}`;
      const lines = inOrder.map((at) => {
        const risen = isCounter(name) ? 1000 * Number(value) * shareAt((at - now + HISTORY) / HISTORY) : Number(value);
        return `${all} ${risen} ${at}\n`;
      });
      if (!out.write(lines.join(''))) {
        await once(out, 'drain');
      }
    }
  }
  out.end('# EOF\n');
  await finished(out);
  promtool('tsdb', 'create-blocks-from', '--quiet', '--max-block-duration=54h', 'openmetrics', file, prometheus.data);
  await prometheus.start([]);
  const recorded = join(prometheus.folder, 'recorded');
  const period = [`--start=${yesterday + FINE_STEP}`, `--end=${yesterday + 3 * 3600}`, '--eval-interval=1m'];
  promtool(
    'tsdb',
    'create-blocks-from',
    'rules',
    `--url=${prometheus.address}`,
    `--output-dir=${recorded}`,
    ...period,
    RULES,
  );
  await prometheus.stop();
  readdirSync(recorded).forEach((block) => renameSync(join(recorded, block), join(prometheus.data, block)));
}

/** The share of a counter at a share of the time: it rises fast by day and slowly by night. */
function shareAt(time: number): number {
  return time - (0.8 * Math.sin(4 * Math.PI * time)) / (4 * Math.PI);
}

/** The example for Alertmanager: it can be read, and sends what is urgent to the team. */
function checkAlertmanager(): string {
  const amtool = findPrometheus('amtool');
  if (amtool === undefined) {
    return 'left out: there is no amtool. Install the package prometheus-alertmanager';
  }
  runProgram(amtool, ['check-config', ALERTMANAGER]);
  for (const { severity } of ALERTS) {
    const receiver = runProgram(amtool, [
      'config',
      'routes',
      'test',
      `--config.file=${ALERTMANAGER}`,
      `severity=${severity}`,
    ]);
    const [name] = receiver.split('\n');
    if (name !== (severity === 'info' ? 'nobody' : 'team')) {
      throw new Error(`an alert of severity ${severity} goes to ${receiver}`);
    }
  }
  return 'amtool accepts the example for Alertmanager, and routes every severity';
}
