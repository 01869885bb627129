import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const USUAL_FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

/**
 * Path of the `redis-server` program, or `undefined` when there is none.
 * `REDIS_SERVER_BIN` is taken at its word: when it is set and wrong, nothing else is tried.
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {string | undefined}
 */
export function findRedisServer(environment = process.env) {
  if (environment.REDIS_SERVER_BIN) {
    return isProgram(environment.REDIS_SERVER_BIN) ? environment.REDIS_SERVER_BIN : undefined;
  }
  return find('redis-server', environment);
}

/**
 * Path of the `haproxy` program, or `undefined` when there is none.
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {string | undefined}
 */
export function findHaproxy(environment = process.env) {
  return find('haproxy', environment);
}

/**
 * Path of a Chromium, or `undefined` when there is none.
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {string | undefined}
 */
export function findChromium(environment = process.env) {
  return find('chromium', environment) ?? find('chromium-browser', environment) ?? find('google-chrome', environment);
}

/**
 * Path of `prometheus`, of `promtool`, which its package brings, or of `amtool` of Alertmanager; `undefined` when there is none.
 * @param {'prometheus' | 'promtool' | 'amtool'} program
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {string | undefined}
 */
export function findPrometheus(program, environment = process.env) {
  return find(program, environment);
}

/**
 * Path of the `nats-server` program, or `undefined` when there is none.
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {string | undefined}
 */
export function findNats(environment = process.env) {
  return find('nats-server', environment);
}

/**
 * @param {string} program
 * @param {NodeJS.ProcessEnv} environment
 * @returns {string | undefined}
 */
function find(program, environment) {
  const onPath = (environment.PATH ?? '').split(delimiter).filter(Boolean);
  return [...onPath, ...USUAL_FOLDERS].map((folder) => join(folder, program)).find(isProgram);
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
