import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { OwnRedis } from './own-redis.js';
import { redisAnswers } from './redis-answers.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The address that the cache uses where no variable names another one. */
const DEFAULT_ADDRESS = { host: 'localhost', port: 6379 };

/**
 * Starts a Redis of the demo's own, if the environment names none, none answers at the default address, and redis-server is
 * installed. Otherwise, and where it does not start, `undefined`: the demo uses the Redis of the environment, or memory alone.
 */
export async function startOwnRedis(
  environment: Environment,
  address = DEFAULT_ADDRESS,
): Promise<OwnRedis | undefined> {
  const program = findRedisServer(environment['PATH']);
  if (program === undefined || namesRedis(environment) || isSwitchedOff(environment)) {
    return undefined;
  }
  if (await redisAnswers(address.host, address.port)) {
    return undefined;
  }
  try {
    return await OwnRedis.start(program);
  } catch {
    // Without it the demo works from memory, and says so.
    return undefined;
  }
}

/** Blank variables count as not set, as everywhere in the cache. */
function namesRedis(environment: Environment): boolean {
  return Object.entries(environment).some(([name, value]) => name.startsWith('REDIS_') && (value?.trim() ?? '') !== '');
}

/** A cache that is switched off opens no connection. */
function isSwitchedOff(environment: Environment): boolean {
  return ['false', '0'].includes(environment['CACHE_ENABLED']?.trim().toLowerCase() ?? '');
}

/** Path of redis-server. None on Windows, which has neither `sh` nor the signals that freeze a process. */
export function findRedisServer(path = ''): string | undefined {
  if (process.platform === 'win32') {
    return undefined;
  }
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, 'redis-server')).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
