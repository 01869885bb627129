/**
 * `npm run check:libraries`: the packed library with values of ORMs and other large packages, over a real Redis. They are no development
 * dependencies, because they take more than a hundred megabytes: this check installs them in a temporary folder, from a lock file of
 * their own. Needs a build.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findRedisServer } from './find-redis.mjs';
import { packLibrary, root, tarballIn, workFolder } from './packed-apps.mjs';
import { check, runCommand } from './run-command.mjs';

const FILES = ['typeorm.mjs', 'mikro-orm.mjs', 'mongoose.mjs', 'query-builders.mjs'];
const QUIETLY = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];

const folder = workFolder();
const app = join(folder, 'libraries');

check('the libraries and the packed library install', () => {
  if (!existsSync(tarballIn(folder))) {
    packLibrary(folder);
  }
  rmSync(app, { recursive: true, force: true });
  cpSync(join(root, 'test/packages/libraries'), app, { recursive: true });
  runCommand('npm', ['ci', ...QUIETLY], { cwd: app });
  runCommand('npm', ['install', '--no-save', ...QUIETLY, tarballIn(folder)], { cwd: app });
});

const port = await freePort();
const redis = spawn(
  findRedisServer() ?? 'redis-server',
  ['--port', String(port), '--save', '', '--bind', '127.0.0.1'],
  { stdio: 'ignore' },
);
process.on('exit', () => redis.kill());
while (redis.exitCode === null && !(await redisAnswers())) {
  await sleep(50);
}

for (const file of FILES) {
  check(`${file}: each value is the same with the cache as without it, or is not cached`, () => {
    const said = runCommand(process.execPath, [file], {
      cwd: app,
      timeoutMs: 120_000,
      env: { NODE_OPTIONS: '', REDIS_URL: `redis://127.0.0.1:${port}` },
    });
    return `${said.match(/^ok /gm)?.length ?? 0} values`;
  });
}
process.exit(0);

/** @returns {Promise<boolean>} */
function redisAnswers() {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1').once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
