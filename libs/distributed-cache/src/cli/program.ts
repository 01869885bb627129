import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { Command, CommanderError, Option } from 'commander';
import { CommandError, EXIT, type ExitCode, Output, printableLines, type Terminal } from './output.js';
import type { CommonOptions, Given, Run } from './session.js';

/*
 * The command line: `npx nestjs-distributed-cache <command>`. The modules of the cache are loaded when a command runs, so
 * that `--help` and mistakes are answered at once.
 */

interface CommandRow {
  readonly usage: string;
  readonly summary: string;
  readonly options?: readonly (() => Option)[];
  readonly load: () => Promise<Run>;
}

const namespace = (): Option => new Option('--ns <namespace>', 'only this namespace');
const yes = (): Option => new Option('--yes', 'do not ask');
const number =
  (most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > most) {
      throw new CommandError(EXIT.usage, `${text} is no number from 1 to ${most}`);
    }
    return value;
  };
const count = (most: number, usual: number): Option =>
  new Option('--count <number>', 'how many').argParser(number(most)).default(usual);

const COMMANDS: readonly CommandRow[] = [
  {
    usage: 'doctor',
    summary: 'check Redis, the keys, the processes and their settings, and say what to do',
    options: [
      () => new Option('--sample <number>', 'how many keys to look at').argParser(number(1_000_000)).default(2000),
      () => new Option('--strict', 'check what `strict: true` needs'),
    ],
    load: async () => (await import('./doctor/doctor.js')).doctor,
  },
  {
    usage: 'stats [namespace]',
    summary: 'lookups, hits and loads, summed over all processes',
    options: [
      () => new Option('--watch [seconds]', 'again and again, with what has happened since').argParser(number(3600)),
      () => new Option('--by-process', 'one line for each process'),
    ],
    load: async () => (await import('./look.js')).stats,
  },
  {
    usage: 'top',
    summary: 'the entries in memory that are used most, take most, or save most',
    options: [
      () => new Option('--by <order>', 'the order').choices(['hits', 'bytes', 'load', 'saved']).default('hits'),
      namespace,
      () => count(1000, 20),
      () => new Option('--keys', 'whole keys: they contain what the calls were given'),
    ],
    load: async () => (await import('./look.js')).top,
  },
  {
    usage: 'inspect <namespace> <key>',
    summary: 'what Redis and the memory of each process hold for a key',
    options: [() => new Option('--value', 'also the value')],
    load: async () => (await import('./look.js')).inspect,
  },
  {
    usage: 'processes',
    summary: 'the processes that use the cache, with their version and configuration',
    load: async () => (await import('./look.js')).processes,
  },
  {
    usage: 'evict <namespace> <keys...>',
    summary: 'delete entries, in Redis and in every process',
    options: [yes],
    load: async () => (await import('./change.js')).evict,
  },
  {
    usage: 'expire <namespace> <keys...>',
    summary: 'make entries stale, in Redis and in every process: the next call loads them again',
    options: [yes],
    load: async () => (await import('./change.js')).expire,
  },
  {
    usage: 'purge',
    summary: 'invalidate all entries that carry a tag',
    options: [
      () => new Option('--tag <tags...>', 'the tags').makeOptionMandatory(),
      () => new Option('--ns <namespace>', 'only this namespace; default: all that processes use'),
      yes,
    ],
    load: async () => (await import('./change.js')).purge,
  },
  {
    usage: 'clear <namespace>',
    summary: 'invalidate all entries of a namespace',
    options: [yes],
    load: async () => (await import('./change.js')).clear,
  },
  {
    usage: 'warm',
    summary: 'show the recorded hot keys, and have every process read them into its memory again',
    options: [
      namespace,
      () => new Option('--show', 'only show, and start nothing'),
      () => count(5000, 3),
      () => new Option('--keys', 'whole keys: they contain what the calls were given'),
    ],
    load: async () => (await import('./change.js')).warm,
  },
  {
    usage: 'watch',
    summary: 'print changes of entries, and of the connection, as they happen',
    options: [
      namespace,
      () => new Option('--event <kinds...>', 'only these').choices(['key', 'tag', 'namespace', 'all', 'connection']),
      () => new Option('--keys', 'whole keys: they contain what the calls were given'),
    ],
    load: async () => (await import('./measure.js')).watch,
  },
  {
    usage: 'bench',
    summary: 'how fast this Redis is from here: read, write, load under a lease, invalidation',
    options: [() => new Option('--count <number>', 'operations of each kind').argParser(number(100_000)).default(1000)],
    load: async () => (await import('./measure.js')).bench,
  },
  {
    usage: 'schema <command>',
    summary: 'print the JSON Schema of what --json prints for a command',
    load: async () => (await import('./schemas.js')).schema,
  },
];

const EXIT_CODES = `
Exit codes: 0 done; 1 the answer is no (a check fails, the entry is missing, versions differ); 2 wrong usage;
3 Redis or the processes can't be reached; 130 interrupted.
Redis and the key prefix come from the same variables as in the application: REDIS_URL, REDIS_HOST, CACHE_KEY_PREFIX, ...`;

/** Runs the command line. Never rejects. @returns the exit code */
export async function main(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const program = new Command('nestjs-distributed-cache')
    .description('Look at the cache of an application, and change it, in all of its processes.')
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(printableLines(text)),
    });
  for (const row of COMMANDS) {
    const command = program.command(row.usage).description(row.summary);
    [...commonOptions(), ...(row.options ?? []).map((make) => make())].forEach((option) => command.addOption(option));
    command.action(async (...given: unknown[]) => {
      const positional = given
        .slice(0, -2)
        .flat()
        .filter((arg) => typeof arg === 'string');
      const options = given.at(-2) as Readonly<Record<string, unknown>>;
      exitCode = await runCommand(row, { args: positional, options }, terminal);
    });
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    return report(error, new Output(terminal, false));
  }
}

function commonOptions(): Option[] {
  return [
    new Option('--url <url>', 'address of Redis, instead of the variables'),
    new Option('--prefix <prefix>', 'key prefix, instead of CACHE_KEY_PREFIX'),
    new Option('--env-file <file>', 'read variables from this file; default: .env, if there is one'),
    new Option('--json', 'print JSON: one object, or one a line'),
    new Option('--no-input', 'never ask'),
  ];
}

async function runCommand(row: CommandRow, given: Given, terminal: Terminal): Promise<ExitCode> {
  const { options } = given;
  const out = new Output(terminal, options['json'] === true);
  try {
    const complete = withVariables(terminal, options['envFile']);
    const [{ Session: Opened }, run] = await Promise.all([import('./session.js'), row.load()]);
    const session = new Opened(out, complete, options as unknown as CommonOptions);
    const interrupt = (): void => session.interrupted.abort();
    process.once('SIGINT', interrupt);
    process.once('SIGTERM', interrupt);
    const keepProcess = setInterval(() => {}, 60_000); // the connections alone do not keep it
    try {
      const exitCode = await run(session, given);
      return session.interrupted.signal.aborted ? EXIT.interrupted : exitCode;
    } catch (error) {
      return session.interrupted.signal.aborted ? EXIT.interrupted : report(error, out);
    } finally {
      clearInterval(keepProcess);
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
      await session.close();
    }
  } catch (error) {
    return report(error, out);
  }
}

/** The terminal with the variables of the file. Variables that are set already have priority. */
function withVariables(terminal: Terminal, file: unknown): Terminal {
  if (typeof file !== 'string' && !existsSync('.env')) {
    return terminal;
  }
  const { stdout, stderr, stdin, env } = terminal;
  const path = typeof file === 'string' ? file : '.env';
  try {
    return { stdout, stderr, stdin, env: { ...parseEnv(readFileSync(path, 'utf8')), ...env } };
  } catch {
    throw new CommandError(EXIT.usage, `${path} can't be read`);
  }
}

function report(error: unknown, out: Output): ExitCode {
  if (error instanceof CommandError) {
    out.note(error.message);
    return error.exitCode;
  }
  if (error instanceof TypeError && error.name === 'CacheKeyError') {
    out.note(error.message);
    return EXIT.usage;
  }
  out.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.no;
}
