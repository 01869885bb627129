/**
 * `npm run check:nest11`: runs the specs of the response cache against Nest 11. They run on a copy of the sources in a
 * temporary folder that has Nest 11 in its own node_modules, and every other package from this workspace.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './run-command.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const work = mkdtempSync(join(tmpdir(), 'nest11-'));
const folder = join(work, 'workspace');
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const SPECS = [
  'test/http/answer-point.spec.ts',
  'test/http/identity.spec.ts',
  'test/http/same-answers.spec.ts',
  'test/http/advisories.spec.ts',
  'test/http/faults.spec.ts',
  'test/http/framework-contract.spec.ts',
  'test/http/probes.spec.ts',
  'libs/distributed-cache/src/http',
];

/** The packages that import Nest: what imports another Nest than the specs do would prove nothing. */
const dependencies = {
  '@nestjs/common': '^11.0.0',
  '@nestjs/core': '^11.0.0',
  '@nestjs/platform-express': '^11.0.0',
  '@nestjs/platform-fastify': '^11.0.0',
  '@nestjs/testing': '^11.0.0',
  '@nestjs/throttler': '^6.0.0',
  'nestjs-cls': '^6.0.0',
};

mkdirSync(join(folder, 'libs/distributed-cache'), { recursive: true });
for (const path of ['test', 'scripts', 'vitest.config.ts', 'tsconfig.json', 'tsconfig.base.json']) {
  cpSync(join(root, path), join(folder, path), { recursive: true });
}
for (const path of ['src', 'package.json', 'tsconfig.build.json']) {
  cpSync(join(root, 'libs/distributed-cache', path), join(folder, 'libs/distributed-cache', path), { recursive: true });
}
writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
runCommand('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'], {
  cwd: folder,
});
symlinkSync(join(folder, 'libs/distributed-cache'), join(folder, 'node_modules/nestjs-distributed-cache'));
symlinkSync(join(root, 'node_modules'), join(work, 'node_modules'));

const { status } = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...SPECS], {
  cwd: folder,
  env: { ...process.env, NEST_MAJOR: '11' },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
