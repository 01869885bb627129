import type { Lookup } from '../../core/index.js';
import {
  canonicalParts,
  declaredSelection,
  hostOf,
  responseKey,
  splitUrl,
  type UrlParts,
  variantKey,
  variantKeys,
} from '../entry/response-key.js';
import { isVariantIndex, responseIn, type StoredEntry } from '../entry/stored-response.js';
import { urlTag } from '../response-policy.js';
import { type Fields, fieldText } from '../rules/fields.js';
import { selectionKey } from '../rules/selecting-headers.js';
import { type BoundRoute, listedKeys } from './bound-route.js';
import type { CachedRequest } from './options.js';
import type { HttpCacheRouter } from './router.js';

/** A request to explain: one of Express or Fastify, or its path and headers (with `host`), in lower case. */
export type ExplainedRequest = Pick<CachedRequest, 'url' | 'headers'> & Partial<CachedRequest>;

/** What is stored for a URL by one route. Times in milliseconds. */
export interface ResponseExplanation {
  readonly route: string;
  /** The key of the response that the request selects. */
  readonly key: string;
  /** Of this response; `missing`: only others of the URL are stored, and what follows is `undefined`. */
  readonly state: 'fresh' | 'stale' | 'missing';
  /** The request headers that select the response: those that are declared, and those of the handler's `Vary`. */
  readonly vary: readonly string[];
  /** How many responses of the URL are stored; `undefined` where they can't be listed. */
  readonly variants: number | undefined;
  readonly tier: 'local' | 'redis' | undefined;
  readonly status: number | undefined;
  readonly bodyBytes: number | undefined;
  /** What a client's conditions are compared with: the reason of a 304. */
  readonly validators: Readonly<Record<'etag' | 'last-modified', string | undefined>>;
  readonly ageMs: number | undefined;
  /** The rest of its lifetime; negative past it. */
  readonly ttlMs: number | undefined;
}

/** Finds what is stored for URLs, by their keys. */
export class UrlEntries {
  constructor(private readonly router: HttpCacheRouter) {}

  /** Removes the responses of these absolute URLs. @throws TypeError for what is no URL */
  async purge(urls: readonly string[]): Promise<void> {
    const { cache } = this.router.responses;
    await Promise.all([cache.deleteMany(this.listed(urls)), cache.invalidateTags(...urls.map(urlTag))]);
  }

  /** Makes those responses of these URLs stale whose keys can be listed, and removes the others. */
  async softPurge(urls: readonly string[]): Promise<void> {
    const { cache } = this.router.responses;
    const keys = await Promise.all(this.listed(urls).map((key) => this.keysBehind(key)));
    await Promise.all([...keys.flat().map((key) => cache.expire(key)), cache.invalidateTags(...urls.map(urlTag))]);
  }

  private listed(urls: readonly string[]): string[] {
    const routes = this.router.allRoutes();
    return urls.map(canonicalParts).flatMap((url) => routes.flatMap((route) => listedKeys(route, url)));
  }

  /** What is stored for a URL, and what a request for it gets. @param request for a text, one without headers */
  async explain(request: string | ExplainedRequest): Promise<ResponseExplanation[]> {
    const fields: Fields = typeof request === 'string' ? {} : request.headers;
    const url =
      typeof request === 'string'
        ? canonicalParts(request)
        : { host: hostOf(request.headers), ...splitUrl(request.url, 'all') };
    const explained = this.router.allRoutes().map(async (route) => {
      const audience = audienceOf(route, request);
      return typeof route.audience === 'function' && audience === undefined
        ? []
        : this.explainRoute(route, url, fields, audience);
    });
    return (await Promise.all(explained)).flat();
  }

  private async explainRoute(
    route: BoundRoute,
    url: UrlParts,
    fields: Fields,
    audience: string | undefined,
  ): Promise<ResponseExplanation[]> {
    const urlKey = keyFor(route, url, declaredSelection(route.vary, fields), audience);
    const listed = typeof route.audience === 'function' ? [urlKey] : listedKeys(route, url);
    const stored = (
      await Promise.all((listed.length === 0 ? [urlKey] : listed).map((key) => this.storedKeys(key)))
    ).flat();
    const first = await this.lookup(urlKey);
    const index = first.state === 'miss' ? null : first.value;
    const names = isVariantIndex(index) ? index.names : [];
    const selection = isVariantIndex(index) ? selectionKey(index.names, fields) : undefined;
    const key = isVariantIndex(index) && selection !== undefined ? variantKey(urlKey, index.id, selection) : urlKey;
    const found = key === urlKey ? first : await this.lookup(key);
    const response = found.state === 'miss' ? undefined : responseIn(found.value);
    if (stored.length === 0) {
      return [];
    }
    const isFound = found.state !== 'miss' && response !== undefined && response.selection === selection;
    return [
      {
        route: route.name,
        key,
        state: isFound ? found.state : 'missing',
        vary: [...route.varyNames, ...names],
        variants: listed.length === 0 ? undefined : stored.length,
        tier: isFound ? found.tier : undefined,
        status: isFound ? response.status : undefined,
        bodyBytes: isFound ? response.body.length : undefined,
        validators: {
          etag: isFound ? fieldText(response.fields, 'etag') : undefined,
          'last-modified': isFound ? fieldText(response.fields, 'last-modified') : undefined,
        },
        ageMs: isFound ? found.ageMs : undefined,
        ttlMs: isFound ? found.ttlMs : undefined,
      },
    ];
  }

  /** Those of {@link keysBehind} that have a response. */
  private async storedKeys(key: string): Promise<string[]> {
    const keys = await this.keysBehind(key);
    const lookups = await Promise.all(keys.map((behind) => this.lookup(behind)));
    return keys.filter((_, index) => {
      const found = lookups[index];
      return found !== undefined && found.state !== 'miss' && responseIn(found.value) !== undefined;
    });
  }

  /** The key of a URL, or those of all variants that it can have, if it has an index. */
  private async keysBehind(key: string): Promise<string[]> {
    const found = await this.lookup(key);
    return found.state !== 'miss' && isVariantIndex(found.value) ? variantKeys(key, found.value.id) : [key];
  }

  private lookup(key: string): Promise<Lookup<StoredEntry | null>> {
    return this.router.responses.cache.lookup(key);
  }
}

function keyFor(route: BoundRoute, { host, path, query }: UrlParts, selection?: string, audience?: string): string {
  return responseKey({ route: route.name, host, ...splitUrl(`${path}?${query}`, route.query), selection, audience });
}

function audienceOf({ audience }: BoundRoute, request: string | ExplainedRequest): string | undefined {
  if (typeof audience !== 'function' || typeof request === 'string') {
    return undefined;
  }
  try {
    return audience(request as CachedRequest);
  } catch {
    return undefined;
  }
}
