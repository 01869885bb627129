import { spawn } from 'node:child_process';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
let listening = false;

/**
 * Ensures that a child does not outlive this process, however this process ends.
 *
 * An `exit` listener alone is not sufficient: a test runner stops its workers with SIGTERM or SIGKILL, and neither of
 * them runs it. So a small shell waits on a pipe that closes with this process, and then kills the child. The shell is
 * stopped first when the child ends on its own, so that it can never kill a reused pid.
 * Plain JavaScript because its test runs it in a process that then gets SIGKILL.
 * @param {import('node:child_process').ChildProcess} child
 */
export function dieWithThisProcess(child) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  if (!listening) {
    listening = true;
    process.on('exit', () => {
      for (const each of children) {
        each.kill('SIGKILL');
      }
    });
  }
  children.add(child);
  const guard = spawn('sh', ['-c', 'read -r line; kill -9 "$1"', 'guard', String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A group of its own: the Ctrl-C that ends the tests must not end the guard before it has killed the child.
    detached: true,
  });
  guard.on('error', () => {}); // without `sh` only the `exit` listener remains
  guard.unref();
  child.once('exit', () => {
    children.delete(child);
    guard.kill('SIGKILL');
  });
}
