/**
 * Servers of other versions, from other suites of the Debian mirror that this machine already uses. apt runs with folders of its
 * own, packages are unpacked instead of installed, and each server runs with the C library of its suite: the system stays as it is.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DOWNLOAD_LIMIT_MS = 180_000;

/** @typedef {{ name: string, suite: string, alsoNeeds?: string, program: 'redis-server' | 'valkey-server' | 'redict-server' }} DebianServer */

/** @type {readonly DebianServer[]} */
export const DEBIAN_SERVERS = [
  { name: 'Valkey 8.0', suite: 'bookworm-backports', alsoNeeds: 'bookworm', program: 'valkey-server' },
  { name: 'Redis 8.0', suite: 'trixie', program: 'redis-server' },
  { name: 'Valkey 8.1', suite: 'trixie', program: 'valkey-server' },
  { name: 'Valkey 9', suite: 'forky', program: 'valkey-server' },
  { name: 'Redict 7.3', suite: 'bookworm-backports', alsoNeeds: 'bookworm', program: 'redict-server' },
];

export function isDebian() {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return process.platform === 'linux' && /^ID="?debian"?$/m.test(release);
}

/**
 * Path of a script that runs the server in the place of `redis-server`. What was unpacked before is used again.
 * @param {DebianServer} server
 * @param {string} folder where servers are kept
 * @param {number} [limitMs] how long each look at the mirror and each download may take
 * @returns {string}
 * @throws {Error} when it can't be had; the message is the reason
 */
export function provideServer(server, folder, limitMs = DOWNLOAD_LIMIT_MS) {
  const home = join(folder, `${server.suite}-${server.program}`);
  const script = join(home, 'redis-server');
  if (!existsSync(script)) {
    mkdirSync(folder, { recursive: true });
    const work = mkdtempSync(join(folder, 'unpacking-'));
    try {
      unpack(server, work, limitMs);
      writeFileSync(join(work, 'redis-server'), startScript(work, home, server.program), { mode: 0o755 });
      rmSync(home, { recursive: true, force: true });
      renameSync(work, home);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return script;
}

/**
 * @param {DebianServer} server
 * @param {string} folder
 * @param {number} limitMs
 */
function unpack({ suite, alsoNeeds, program }, folder, limitMs) {
  const apt = aptOptions(suite, alsoNeeds, limitMs);
  /** @type {(name: string, ...args: string[]) => string} */
  const run = (name, ...args) => runCommand(name, [...apt, ...args], { cwd: folder, timeoutMs: limitMs });
  const packages = neededPackages(run('apt-cache', 'depends', '--recurse', program), program);
  run('apt-get', '-q', 'download', ...packages);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.deb'))) {
    runCommand('dpkg', ['-x', join(folder, file), folder]);
    rmSync(join(folder, file));
  }
}

/** @type {Map<string, readonly string[]>} */
const optionsOfSuites = new Map();

/**
 * What makes apt see this suite and nothing of the system. The lists of packages are downloaded once and go with this process.
 * @param {string} suite
 * @param {string | undefined} alsoNeeds
 * @param {number} limitMs
 */
function aptOptions(suite, alsoNeeds, limitMs) {
  const known = optionsOfSuites.get(suite);
  if (known !== undefined) {
    return known;
  }
  const apt = mkdtempSync(join(tmpdir(), `apt-${suite}-`));
  process.on('exit', () => rmSync(apt, { recursive: true, force: true }));
  mkdirSync(join(apt, 'lists/partial'), { recursive: true });
  mkdirSync(join(apt, 'archives/partial'), { recursive: true });
  const lines = [suite, alsoNeeds].flatMap((each) =>
    each === undefined ? [] : [`deb [signed-by=${KEYRING}] ${mirror()} ${each} main`],
  );
  writeFileSync(join(apt, 'sources.list'), `${lines.join('\n')}\n`);
  writeFileSync(join(apt, 'status'), '');
  const options = [
    `Dir::Etc::SourceList=${apt}/sources.list`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State=${apt}`,
    `Dir::State::status=${apt}/status`,
    `Dir::Cache=${apt}`,
    ...(alsoNeeds === undefined ? [] : [`APT::Default-Release=${suite}`]),
    'APT::Sandbox::User=root',
    'APT::Update::Error-Mode=any',
    'Acquire::Languages=none',
    'Acquire::Retries=2',
  ].flatMap((option) => ['-o', option]);
  runCommand('apt-get', [...options, '-q', 'update'], { timeoutMs: limitMs });
  optionsOfSuites.set(suite, options);
  return options;
}

/** Address of the Debian mirror from which this machine's own release comes. */
function mirror() {
  const codename = /^VERSION_CODENAME="?(\w+)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
  const targets = runCommand('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const own = targets.split('\n').find((line) => line.endsWith(` ${codename} main`));
  if (own === undefined) {
    throw new Error(`the sources of apt name no mirror of ${codename ?? 'this release'}`);
  }
  return own.split(' ')[0];
}

/**
 * The server, its tools (the program itself lies there) and the libraries that both need, of all that `apt-cache depends --recurse` lists.
 * @param {string} listed
 * @param {string} program
 */
function neededPackages(listed, program) {
  /** @type {Map<string, string[]>} */
  const needs = new Map();
  /** @type {string[]} */
  let current = [];
  for (const line of listed.split('\n')) {
    const dependency = /^ [ |](?:Pre)?Depends: ([\w.+-]+)$/.exec(line)?.[1];
    if (dependency !== undefined) {
      current.push(dependency);
    } else if (/^[\w.+-]+$/.test(line)) {
      current = [];
      needs.set(line, current);
    }
  }
  const found = new Set([program]);
  for (const each of found) {
    const isNeeded = (/** @type {string} */ name) =>
      /^(lib|lua-)/.test(name) || name === program.replace('-server', '-tools');
    needs
      .get(each)
      ?.filter(isNeeded)
      .forEach((name) => found.add(name));
  }
  return [...found].filter((name) => needs.has(name));
}

/**
 * @param {string} folder where the packages are unpacked now
 * @param {string} home where they will lie
 * @param {string} program
 */
function startScript(folder, home, program) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  // A loader may be a link to an absolute path, which leads out of the folder.
  const loader = files.find((path) => /\/ld-[\w.-]*\.so[.\d]*$/.test(path) && lstatSync(join(folder, path)).isFile());
  const libraries = new Set(
    files.filter((path) => /\/lib[^/]+\.so(\.\d+)*$/.test(path)).map((path) => path.slice(0, path.lastIndexOf('/'))),
  );
  if (loader === undefined || !files.includes(`usr/bin/${program}`)) {
    throw new Error(`the packages hold no ${loader === undefined ? 'loader' : program}`);
  }
  const path = [...libraries].map((each) => join(home, each)).join(':');
  return `#!/bin/sh\nexec '${join(home, loader)}' --library-path '${path}' '${join(home, 'usr/bin', program)}' "$@"\n`;
}

/**
 * What the server calls itself, for instance `Redis server v=8.0.2`; the reason when it does not start.
 * @param {string} script
 */
export function versionOf(script) {
  const { status, stdout, stderr } = spawnSync(script, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  if (status !== 0) {
    throw new Error(`it does not start: ${stderr.trim() || `ended with ${status}`}`);
  }
  return stdout.trim().split(' sha=')[0] ?? '';
}
