import { spawnSync } from 'node:child_process';

/** What `npm run` adds to the environment and a nested npm would take for settings of another project. */
const OF_THE_OUTER_NPM = /^npm_(package|lifecycle|config_(local_prefix|workspace|workspaces|include_workspace_root))/i;

export class CommandError extends Error {}

/**
 * Runs a program to its end and gives its standard output.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, timeoutMs?: number, env?: NodeJS.ProcessEnv, show?: boolean }} [options]
 *   timeoutMs: 5 minutes unless told; show: the output goes to the terminal instead
 * @throws {CommandError} when it fails or takes too long, with all that it said
 */
export function runCommand(program, args, { cwd, timeoutMs = 300_000, env = {}, show = false } = {}) {
  const outer = Object.entries(process.env).filter(([name]) => !OF_THE_OUTER_NPM.test(name));
  const result = spawnSync(program, args, {
    cwd,
    env: { ...Object.fromEntries(outer), ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  if (result.status !== 0) {
    const reason = result.error?.message ?? `ended with ${result.status ?? result.signal}`;
    const said = `${result.stdout ?? ''}${result.stderr ?? ''}`;
    throw new CommandError([`${program} ${args.join(' ')}: ${reason}`, said.trim()].join('\n'));
  }
  return result.stdout ?? '';
}

/**
 * Prints one line per check and ends the process at the first that is broken.
 * @param {string} title
 * @param {() => string | void} run what it returns is added to the line
 */
export function check(title, run) {
  try {
    const remark = run();
    console.log(`ok    ${title}${remark ? ` (${remark})` : ''}`);
  } catch (error) {
    console.log(`FAIL  ${title}`);
    console.error(error instanceof CommandError ? error.message : error);
    process.exit(1);
  }
}
