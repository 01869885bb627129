import { defineConfig } from 'vitest/config';

/** Set by scripts/check-mutants.mjs: the tests run against this copy of the library's sources instead of the sources. */
const copyOfSources = process.env['NDC_SRC'];

/** Millions of promises: in a process in which an AsyncLocalStorage has been used each costs many times as much. */
const MANY_PROMISES = ['test/model/**/*.spec.ts', 'libs/distributed-cache/src/core/load-signals.spec.ts'];
/** Compiled and run in the applications that scripts/packed-apps.mjs makes of them. */
const OF_OTHER_APPS = ['test/packages/**'];
/** Specs of many processes and minutes: `.ci/run` runs them too. */
const LONG =
  process.env['LONG_SPECS'] === 'all'
    ? []
    : [
        'test/dashboard/processes.spec.ts',
        'test/e2e/demo-faults.spec.ts',
        'test/e2e/own-redis-process.spec.ts',
        'test/e2e/start-page-browser.spec.ts',
        'test/relay/faulty-regions.spec.ts',
      ];
const CHAOS = ['test/chaos/**/*.spec.ts', 'test/e2e/demo-faults.spec.ts'];

/** Types read `design:paramtypes`; oxc emits it only where it is told to, also in files that no tsconfig includes. */
export default defineConfig({
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: {
    alias:
      copyOfSources === undefined
        ? []
        : [
            { find: /^nestjs-distributed-cache$/, replacement: `${copyOfSources}/index.ts` },
            { find: /^nestjs-distributed-cache\/(core|http|relay)$/, replacement: `${copyOfSources}/$1/index.ts` },
            { find: /^(\.\.\/)+libs\/distributed-cache\/src/, replacement: copyOfSources },
          ],
  },
  ssr: { resolve: { conditions: ['ndc-source', 'module-sync', 'node', 'default'] } },
  test: {
    ...(copyOfSources === undefined ? {} : { server: { deps: { inline: [/\.cache\/ndc-/] } } }),
    globalSetup: ['test/support/redis-global-setup.ts'],
    setupFiles: ['test/support/setup.ts'],
    reporters: ['default', './test/support/count-line-reporter.ts'],
    pool: 'forks',
    // What bounds a test is its conditions; these bound a hang.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 8_000 } },
    restoreMocks: true,
    coverage: {
      provider: 'v8',
      include: ['libs/distributed-cache/src/**/*.ts'],
      exclude: ['**/*.spec.ts', '**/index.ts'],
      reporter: ['text', 'html', 'json-summary'],
      thresholds: { lines: 90, functions: 90 },
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: [
            'libs/*/src/**/*.spec.ts',
            'apps/*/src/**/*.spec.ts',
            'bench/src/**/*.spec.ts',
            'test/**/*.spec.ts',
            ...(copyOfSources === undefined ? [] : [`${copyOfSources}/http/**/*.spec.ts`]),
          ],
          exclude: [...OF_OTHER_APPS, ...MANY_PROMISES, ...CHAOS, ...LONG],
          isolate: false,
          maxWorkers: 3, // on two cores: most specs wait for servers and processes
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Measures how long callers wait: nothing that other specs have left in the process may slow it down.
        extends: true,
        test: {
          name: 'chaos',
          include: CHAOS,
          exclude: LONG,
          isolate: true,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'many-promises',
          include: MANY_PROMISES,
          isolate: true,
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
