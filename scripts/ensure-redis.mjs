/**
 * The tests talk to a real Redis, some of them through a real HAProxy, with `--chromium` to a real browser, with `--nats` to
 * a real NATS server, and with `--prometheus` to a real Prometheus with its Alertmanager. This step (npm's `pretest`) makes sure that the programs are there, is
 * quiet when they are, and ends with one line that says what to install when it can't help. Without an HAProxy, a Chromium, a
 * NATS server or a Prometheus the tests that need it are left out, except in CI on Debian.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { findChromium, findHaproxy, findNats, findPrometheus, findRedisServer } from './find-redis.mjs';

const POLICY = '/usr/sbin/policy-rc.d';

const problem =
  (findRedisServer() ? undefined : provideRedis()) ??
  (findHaproxy() ? undefined : provideOptional('haproxy', 'The tests that go through HAProxy')) ??
  (findChromium() || !process.argv.includes('--chromium')
    ? undefined
    : provideOptional('chromium', 'The tests of the page of the demo in a browser')) ??
  (findNats() || !process.argv.includes('--nats')
    ? undefined
    : provideOptional('nats-server', 'The tests of the relay by NATS')) ??
  (findPrometheus('prometheus') || !process.argv.includes('--prometheus')
    ? undefined
    : provideOptional('prometheus', 'The checks of the metrics in a Prometheus')) ??
  (findPrometheus('amtool') || !process.argv.includes('--prometheus')
    ? undefined
    : provideOptional('prometheus-alertmanager', 'The checks of the example for Alertmanager'));
if (problem) {
  console.error(problem);
  process.exitCode = 1;
}

/** @returns {string | undefined} what went wrong, in one line */
function provideRedis() {
  if (process.env.REDIS_SERVER_BIN) {
    return `REDIS_SERVER_BIN is ${process.env.REDIS_SERVER_BIN}, and there is no program of that name.`;
  }
  if (!isRootOnDebian()) {
    return installHint();
  }
  console.log('redis-server is missing: installing the Debian package');
  const reason = installDebianPackage('redis-server');
  if (reason) {
    return `Could not install redis-server (${reason}). ${installHint()}`;
  }
  return findRedisServer() ? undefined : `The redis-server package brought no redis-server program. ${installHint()}`;
}

/**
 * @param {string} name of the program and of its package
 * @param {string} tests that need it
 * @returns {string | undefined} what went wrong, in one line, where it matters
 */
function provideOptional(name, tests) {
  const consequence = `${tests} are left out: install the package ${name}.`;
  if (!isRootOnDebian()) {
    console.log(consequence);
    return undefined;
  }
  console.log(`${name} is missing: installing the Debian package`);
  const reason = installDebianPackage(name);
  if (!reason) {
    return undefined;
  }
  console.log(`Could not install ${name} (${reason}). ${consequence}`);
  return process.env.CI ? 'In CI on Debian every test must run.' : undefined;
}

function isRootOnDebian() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/etc/os-release')) {
    return false;
  }
  const names = readFileSync('/etc/os-release', 'utf8')
    .split('\n')
    .filter((line) => /^ID(_LIKE)?=/.test(line));
  return /\b(debian|ubuntu)\b/.test(names.join(' ')) && spawnSync('apt-get', ['--version']).status === 0;
}

/**
 * Installs the program only: starting a system daemon on port 6379 is not for a test run to decide.
 * RUNLEVEL=1 is what invoke-rc.d looks at where there is no systemd, policy-rc.d is asked in both cases.
 * @param {string} name
 */
function installDebianPackage(name) {
  const forbidStart = !existsSync(POLICY);
  if (forbidStart) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  }
  try {
    const update = aptGet('update', '-q');
    const install = aptGet('install', '-q', '-y', '--no-install-recommends', name);
    if (install.status === 0) {
      return undefined;
    }
    const lines = [update, install].flatMap(({ stderr }) => (stderr ?? '').split('\n'));
    return lines.find((line) => line.startsWith('E:')) ?? `apt-get ended with ${install.status ?? install.error}`;
  } finally {
    if (forbidStart) {
      rmSync(POLICY, { force: true });
    }
  }
}

/** @param {string[]} args */
function aptGet(...args) {
  return spawnSync('apt-get', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  });
}

function installHint() {
  const how =
    process.platform === 'darwin'
      ? 'brew install redis'
      : 'the package redis-server (Debian, Ubuntu) or redis (Alpine, Fedora, Arch)';
  return `The tests need a redis-server program: install ${how}, or set REDIS_SERVER_BIN to its path.`;
}
