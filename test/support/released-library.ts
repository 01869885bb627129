import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'node_modules/.cache');

/**
 * The library of an earlier commit, compiled: for tests in which its processes run beside those of the present version.
 */
export class ReleasedLibrary {
  private constructor(private readonly folder: string) {}

  /** @throws where the history does not contain the commit */
  static async build(commit: string): Promise<ReleasedLibrary> {
    await run('git', ['-C', ROOT, 'cat-file', '-e', `${commit}^{commit}`]).catch(() => {
      throw new Error(`the history has no commit ${commit}: this test needs a full clone (git fetch --unshallow)`);
    });
    mkdirSync(FOLDER, { recursive: true });
    const library = new ReleasedLibrary(mkdtempSync(join(FOLDER, 'released-library-')));
    const { folder } = library;
    const archive = join(folder, 'sources.tar');
    await run('git', ['-C', ROOT, 'archive', '-o', archive, commit, 'libs/distributed-cache', 'tsconfig.base.json']);
    await run('tar', ['-xf', archive, '-C', folder]);
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const options = ['--composite', 'false', '--declaration', 'false', '--sourceMap', 'false', '--noCheck'];
    const project = join(folder, 'libs/distributed-cache/tsconfig.build.json');
    const target = join(folder, 'built');
    await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project, ...options, '--outDir', target]);
    writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
    return library;
  }

  /** Address of an entry for an `import`, such as `core/index.js`. */
  addressOf(path: string): string {
    return pathToFileURL(join(this.folder, 'built', path)).href;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
