import type { TestProject } from 'vitest/node';
import { RedisServer } from './redis-server.js';

/** One Redis for the whole run. Tests share it through `redisForTest()`; those that break a Redis start their own. */
export default async function startSharedRedis(project: TestProject): Promise<() => Promise<void>> {
  const server = await RedisServer.start();
  project.provide('redisPort', server.port);
  return () => server.stop();
}
