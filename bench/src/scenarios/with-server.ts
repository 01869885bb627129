import { RedisServer } from '../support/redis-server.js';

/** Starts a Redis server, and stops it when `work` has ended. */
export async function withServer<Result>(work: (server: RedisServer) => Promise<Result>): Promise<Result> {
  const server = await RedisServer.start();
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}
