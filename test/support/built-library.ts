import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
/** Below node_modules: ignored by git, and the packages that the library needs are found from there. */
const FOLDER = join(ROOT, 'node_modules/.cache');
const EXIT_DEADLINE_MS = 15_000;

export interface ScriptOutcome {
  readonly exitCode: number;
  /** Set where the script did not end on its own. */
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/**
 * The library as its users run it, compiled from the present sources: for tests of whole processes. Plain Node can't
 * run the sources, and an existing `dist` may be outdated.
 */
export class BuiltLibrary {
  private constructor(private readonly folder: string) {}

  static async build(): Promise<BuiltLibrary> {
    mkdirSync(FOLDER, { recursive: true });
    const library = new BuiltLibrary(mkdtempSync(join(FOLDER, 'built-library-')));
    writeFileSync(join(library.folder, 'package.json'), '{ "type": "module" }');
    const options = ['--composite', 'false', '--declaration', 'false', '--sourceMap', 'false', '--noCheck'];
    const project = join(ROOT, 'libs/distributed-cache/tsconfig.build.json');
    await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project, ...options, '--outDir', library.folder]);
    return library;
  }

  /** The address of an entry for an `import`, such as `core/index.js`. */
  addressOf(path: string): string {
    return pathToFileURL(join(this.folder, path)).href;
  }

  /** Runs an ES module in a process of its own, which is killed if it does not end in 15 s. */
  async runScript(script: string, env: Readonly<Record<string, string>> = {}): Promise<ScriptOutcome> {
    const child = run(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], ...env },
      timeout: EXIT_DEADLINE_MS,
      killSignal: 'SIGKILL',
    });
    return child.then(
      ({ stdout, stderr }) => ({ exitCode: 0, signal: null, output: stdout + stderr }),
      ({ code, signal, stdout, stderr }: { code: number } & Record<'stdout' | 'stderr', string> & ScriptOutcome) => ({
        exitCode: code,
        signal,
        output: stdout + stderr,
      }),
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
