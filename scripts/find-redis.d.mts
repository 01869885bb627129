/** Path of the `redis-server` program (`REDIS_SERVER_BIN`, the PATH, the usual folders), or `undefined`. */
export function findRedisServer(environment?: NodeJS.ProcessEnv): string | undefined;

/** Path of the `haproxy` program (the PATH, the usual folders), or `undefined`. */
export function findHaproxy(environment?: NodeJS.ProcessEnv): string | undefined;

/** Path of `prometheus`, `promtool` or `amtool` (the PATH, the usual folders), or `undefined`. */
export function findPrometheus(
  program: 'prometheus' | 'promtool' | 'amtool',
  environment?: NodeJS.ProcessEnv,
): string | undefined;

/** Path of a Chromium (the PATH, the usual folders), or `undefined`. */
export function findChromium(environment?: NodeJS.ProcessEnv): string | undefined;

/** Path of the `nats-server` program (the PATH, the usual folders), or `undefined`. */
export function findNats(environment?: NodeJS.ProcessEnv): string | undefined;
