/** Processor time that the main thread of a server has used so far, in ms. @param {{ command: Function }} server */
export async function primaryCpuMs(server) {
  const info = String(await server.command('INFO', 'cpu'));
  const seconds = (/** @type {string} */ name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? 0);
  return (seconds('used_cpu_user_main_thread') + seconds('used_cpu_sys_main_thread')) * 1000;
}

/** The value below which a part of the values lies. @param {number[]} values @param {number} part from 0 to 1 */
export function percentile(values, part) {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
}

/** @param {{ localHits: number, redisHits: number, requests: number }} report */
export function share({ localHits, redisHits, requests }) {
  const percent = (/** @type {number} */ count) => ((count / Math.max(1, requests)) * 100).toFixed(1);
  return `${percent(localHits)} / ${percent(redisHits)} / ${percent(requests - localHits - redisHits)}`;
}

/**
 * Per cache and change: for how many ms after the acknowledgement of a version reads that began later still returned the version
 * before it. 0 for a cache that never did.
 * @param {{ lastSeen: [string, number][][], acknowledged: Map<string, number> }} report
 */
export function lagAfterChange({ lastSeen, acknowledged }) {
  return lastSeen.flatMap((seen) =>
    seen.flatMap(([version, lastReadAt]) => {
      const [key, number] = version.split(':');
      const changedAt = acknowledged.get(`${key}:${Number(number) + 1}`);
      return changedAt === undefined ? [] : [Math.max(0, lastReadAt - changedAt)];
    }),
  );
}
