/*
 * What the header Cache-Status (RFC 9211) says about one answer, for example
 * `keywords; hit; ttl=86390; detail=local`, `keywords; fwd=miss; stored, http;fwd=uri-miss;stored` or `http;hit;ttl=599`.
 */

/**
 * What answered, its tier and the remaining TTL, as texts for the page. The first member is the cache nearest to the handler. An
 * answer with several lookups of `@Cached` is described by the first one. The member `http` is the response cache.
 * @param {string | null} header
 * @returns {{ answeredBy: string, tier: string, ttl: string, isHit: boolean }}
 */
export function readCacheStatus(header) {
  const members = (header ?? '').split(',').map(readMember);
  const response = members.find(({ name }) => name === 'http');
  if (response?.parameters.has('hit')) {
    return { answeredBy: 'stored response', tier: 'stored response', ttl: ttlText(response.parameters), isHit: true };
  }
  const [{ parameters }] = members;
  if (parameters.has('hit')) {
    const tier = parameters.get('detail') === 'redis' ? 'Redis (L2)' : 'local (L1)';
    const isStale = Number(parameters.get('ttl')) < 0;
    return { answeredBy: '@Cached', tier: isStale ? `${tier}, stale` : tier, ttl: ttlText(parameters), isHit: true };
  }
  if (parameters.has('fwd') && parameters.get('fwd') !== 'bypass') {
    const tier = parameters.has('collapsed') ? 'computed, for several requests at once' : 'computed';
    const isKept = parameters.has('stored') || parameters.has('ttl');
    return { answeredBy: 'handler', tier, ttl: isKept ? 'all of it' : 'not stored', isHit: false };
  }
  return { answeredBy: 'handler', tier: 'none: no lookup', ttl: 'not stored', isHit: false };
}

function readMember(text) {
  const [name, ...parts] = text.split(';').map((part) => part.trim());
  return {
    name,
    parameters: new Map(parts.map((part) => part.split('=', 2)).map(([key, value = '']) => [key, value])),
  };
}

function ttlText(parameters) {
  const ttlMs = Number(parameters.get('ttl')) * 1_000;
  return ttlMs < 0 ? `ended ${durationText(-ttlMs)} ago` : durationText(ttlMs);
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
