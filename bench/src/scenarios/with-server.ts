import { RedisServer } from '../support/redis-server.js';

/** A Redis for the time of `work`. */
export async function withServer<Result>(work: (server: RedisServer) => Promise<Result>): Promise<Result> {
  const server = await RedisServer.start();
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}
