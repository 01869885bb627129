import { writeSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node';

/**
 * Ends the run with one plain line, `12 passed, 0 failed, 0 skipped`, for readers of the log of a CI run.
 *
 * "Failed" also counts what is not a test but makes the run fail (a file that can't be loaded, an unhandled error), so
 * that the line never reports success for a failed run.
 */
export default class CountLineReporter implements Reporter {
  #isWatching = false;

  onInit(vitest: Vitest): void {
    this.#isWatching = vitest.config.watch;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const line = countLine(modules, unhandledErrors.length);
    if (this.#isWatching) {
      print(line);
    } else {
      // Coverage tables and the teardown print after this hook; only the end of the process is later.
      process.once('exit', () => print(line));
    }
  }
}

function countLine(modules: readonly TestModule[], unhandledErrors: number): string {
  const count = { passed: 0, failed: unhandledErrors, skipped: 0, pending: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      count[test.result().state] += 1;
    }
    count.failed += module.errors().length;
    for (const suite of module.children.allSuites()) {
      count.failed += suite.errors().length;
    }
  }
  // A test that did not finish (the run was interrupted) has not passed.
  return `${count.passed} passed, ${count.failed + count.pending} failed, ${count.skipped} skipped`;
}

function print(line: string): void {
  writeSync(1, `${line}\n`);
}
