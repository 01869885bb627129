/**
 * `npm run dev`: compiles the library and the demo whenever a file changes, and restarts the demo.
 * Ctrl-C (or a SIGTERM, or a closed terminal) ends every process that was started here.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(root, 'node_modules/@typescript/native/bin/tsc');
const projects = ['libs/distributed-cache/tsconfig.build.json', 'apps/keyword-insights/tsconfig.build.json'];

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
let isStopping = false;

const compiler = start([tsc, '-b', ...projects, '--watch', '--preserveWatchOutput'], 'pipe');
let demo;
compiler.stdout?.on('data', (/** @type {Buffer} */ chunk) => {
  process.stdout.write(chunk);
  // `node --watch` needs a first build to start from; from then on it sees every change by itself.
  if (!demo && !isStopping && chunk.includes('Found 0 errors')) {
    demo = start(['--watch', '--watch-preserve-output', 'apps/keyword-insights/dist/main.js'], 'inherit');
  }
});

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, stop);
}

/**
 * Each child leads a process group of its own: the compiler starts a native program and `node --watch` the demo,
 * and a signal to the group reaches those too.
 * @param {string[]} args
 * @param {'pipe' | 'inherit'} stdout
 */
function start(args, stdout) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', stdout, 'inherit'], detached: true });
  running.add(child);
  child.once('exit', () => {
    running.delete(child);
    signalGroup(child, 'SIGKILL'); // what the head of the group has left behind
    process.exitCode = isStopping ? 0 : 1;
    stop();
  });
  return child;
}

function stop() {
  if (isStopping) {
    return;
  }
  isStopping = true;
  running.forEach((child) => signalGroup(child, 'SIGTERM'));
  // The demo may be answering a request, or be stuck in the code that is being worked on.
  setTimeout(() => running.forEach((child) => signalGroup(child, 'SIGKILL')), 5_000).unref();
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function signalGroup({ pid }, signal) {
  try {
    process.kill(-Number(pid), signal);
  } catch {
    // The group has no process left.
  }
}
