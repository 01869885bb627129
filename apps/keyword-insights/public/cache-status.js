/*
 * What the header Cache-Status (RFC 9211) says about one answer, for example
 * `keywords; hit; ttl=86390; detail=local` or `keywords; fwd=miss; stored`.
 */

/**
 * The tier that answered and the remaining TTL of the entry, as texts for the page. An answer with several lookups is described by
 * the first one.
 * @param {string | null} header
 * @returns {{ tier: string, ttl: string, isHit: boolean }}
 */
export function readCacheStatus(header) {
  const [, ...parts] = (header ?? '').split(',')[0].split(';');
  const parameters = new Map(parts.map((part) => part.trim().split('=', 2)).map(([name, value = '']) => [name, value]));
  if (parameters.has('hit')) {
    const tier = parameters.get('detail') === 'redis' ? 'Redis (L2)' : 'local (L1)';
    const ttlMs = Number(parameters.get('ttl')) * 1_000;
    return ttlMs < 0
      ? { tier: `${tier}, stale`, ttl: `ended ${durationText(-ttlMs)} ago`, isHit: true }
      : { tier, ttl: durationText(ttlMs), isHit: true };
  }
  if (parameters.has('fwd') && parameters.get('fwd') !== 'bypass') {
    const tier = parameters.has('collapsed') ? 'computed, for several requests at once' : 'computed';
    return { tier, ttl: parameters.has('stored') ? 'all of it' : 'not stored', isHit: false };
  }
  return { tier: 'none: no lookup', ttl: 'not stored', isHit: false };
}

/**
 * A duration as text, for example `250 ms`, `2.5 s`, `3 min`, `23 h 59 min`.
 * @param {number} ms
 */
export function durationText(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (ms < 1_000) {
    return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  }
  if (minutes < 1) {
    return `${Number((ms / 1_000).toFixed(1))} s`;
  }
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
