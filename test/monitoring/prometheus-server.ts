import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenMetricsContentType, Registry } from 'prom-client';
import { findPrometheus } from '../../scripts/find-redis.mjs';
import { dieWithThisProcess } from '../support/child-guard.mjs';
import { freePort } from '../support/free-port.js';

/** One series of an answer; `values` of a query over a range, `value` of one at a moment. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [seconds: number, value: string];
  readonly values?: readonly (readonly [seconds: number, value: string])[];
}

export interface ActiveAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

/** The addresses (`127.0.0.1:3000`) of one job. `drop`: a metric that is taken out of its scrapes. */
export interface Job {
  readonly name: string;
  readonly targets: readonly string[];
  readonly interval?: string;
  readonly drop?: string;
}

const WAIT_MS = 60_000;

/**
 * Waits for a condition.
 * @param check `true`, or what is still missing
 * @throws Error after a minute, with what was missing last
 */
export async function until(what: string, check: () => Promise<true | string>): Promise<void> {
  let missing: true | string = 'never checked';
  for (const endsAtMs = Date.now() + WAIT_MS; Date.now() < endsAtMs; await sleep(100)) {
    missing = await check();
    if (missing === true) {
      return;
    }
  }
  throw new Error(`waited in vain for ${what}: ${missing}`);
}

/** Runs a program to its end. @returns its output @throws Error with the output if it does not end with 0 */
export function runProgram(program: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    input,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) {
    throw new Error(`${program} ${args.join(' ')} ended with ${status ?? error}:\n${stdout}${stderr}`);
  }
  return `${stdout}${stderr}`;
}

export function promtool(...args: readonly string[]): string {
  return runProgram(findPrometheus('promtool') ?? 'promtool', args);
}

/** A real Prometheus on a free port of 127.0.0.1, with data of its own. It ends with this process. */
export class PrometheusServer {
  readonly folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
  readonly data = join(this.folder, 'data');
  private child: ChildProcess | undefined;
  private url = '';

  /**
   * Starts it, again where it has run before. Resolves when it answers.
   * @param rules paths of files with rules, which are evaluated every half second
   */
  async start(jobs: readonly Job[], rules: readonly string[] = []): Promise<void> {
    const config = join(this.folder, 'prometheus.yml');
    const scrapes = jobs.map(({ name, targets, interval = '500ms', drop }) => ({
      job_name: name,
      scrape_interval: interval,
      scrape_timeout: interval,
      static_configs: [{ targets }],
      metric_relabel_configs:
        drop === undefined
          ? []
          : [{ source_labels: ['__name__'], regex: `${drop}(_bucket|_count|_sum)?`, action: 'drop' }],
    }));
    // JSON is YAML.
    writeFileSync(
      config,
      JSON.stringify({ global: { evaluation_interval: '500ms' }, rule_files: rules, scrape_configs: scrapes }),
    );
    promtool('check', 'config', config);
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const child = spawn(
      findPrometheus('prometheus') ?? 'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${this.data}`,
        '--storage.tsdb.retention.time=10d',
        `--web.listen-address=127.0.0.1:${port}`,
        '--enable-feature=exemplar-storage',
        '--log.level=error',
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    this.child = child;
    dieWithThisProcess(child);
    await until('a ready Prometheus', () => fetch(`${this.url}/-/ready`).then(({ ok }) => ok || 'not ready', String));
  }

  get address(): string {
    return this.url;
  }

  /** The `data` of an answer of the API. @throws Error with the message of Prometheus */
  async api<Data>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<Data> {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
    const { data, error } = (await response.json()) as { data: Data; error?: string };
    if (error !== undefined) {
      throw new Error(`${path} ${JSON.stringify(parameters)}: ${error}`);
    }
    return data;
  }

  /** What an expression is now. */
  async query(expr: string): Promise<readonly Series[]> {
    return (await this.api<{ result: Series[] }>('query', { query: expr })).result;
  }

  /** What an expression was, in steps. */
  async range(expr: string, fromSeconds: number, toSeconds: number, stepSeconds: number): Promise<readonly Series[]> {
    const parameters = { query: expr, start: String(fromSeconds), end: String(toSeconds), step: String(stepSeconds) };
    return (await this.api<{ result: Series[] }>('query_range', parameters)).result;
  }

  async alerts(): Promise<readonly ActiveAlert[]> {
    return (await this.api<{ alerts: ActiveAlert[] }>('alerts')).alerts;
  }

  /** Ends it and keeps the data. */
  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child !== undefined && child.exitCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A registry behind an HTTP server, for a Prometheus. */
export class ScrapedRegistry {
  private constructor(
    private readonly server: Server,
    /** The address for `static_configs`. */
    readonly target: string,
  ) {}

  static async start(registry: Registry | Registry<OpenMetricsContentType>): Promise<ScrapedRegistry> {
    const server = createServer((_request, response) => {
      registry.metrics().then(
        (metrics) => response.setHeader('content-type', registry.contentType).end(metrics),
        (error) => response.writeHead(500).end(String(error)),
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return new ScrapedRegistry(server, `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
