import { spawn } from 'node:child_process';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
let listening = false;

/**
 * Makes sure that a child does not outlive this process, however this process ends.
 *
 * An `exit` listener alone does not do: a test runner stops its workers with SIGTERM or SIGKILL, and
 * neither of them runs it. So a tiny shell waits on a pipe that closes with us, and then kills the child.
 * It is stopped first when the child ends by itself, so that it can never hit a reused pid.
 * Plain JavaScript because its test runs it in a process that it then shoots.
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
    // Its own group: the Ctrl-C that ends the tests must not end the guard before it has done its work.
    detached: true,
  });
  guard.on('error', () => {}); // no `sh` here: the `exit` listener is all there is
  guard.unref();
  child.once('exit', () => {
    children.delete(child);
    guard.kill('SIGKILL');
  });
}
