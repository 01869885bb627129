import type { IncomingMessage, ServerResponse } from 'node:http';
import { purgedTagsOf } from '../decorators/cached-response.decorator.js';
import { hostOf, urlOf } from '../entry/response-key.js';
import { isUsableTag, ownTag } from '../response-policy.js';
import type { Fields } from '../rules/fields.js';
import { invalidatedGroups, invalidatedUrls, isUnsafe } from '../rules/invalidation.js';
import type { HttpCacheRouter } from './router.js';
import { UrlEntries } from './url-entries.js';

type End = ServerResponse['end'];

/**
 * Drops what a successful POST, PUT, PATCH, DELETE or any other unsafe request makes outdated, before its response
 * leaves: the stored responses of its URL, of `Location` and `Content-Location` (RFC 9111 section 4.4), and of the groups
 * in `Cache-Group-Invalidation` (RFC 9875). A client that has the answer reads what it has written.
 */
export class UnsafeMethods {
  private readonly entries: UrlEntries;

  constructor(private readonly router: HttpCacheRouter) {
    this.entries = new UrlEntries(router);
  }

  readonly middleware = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const { method = '' } = request;
    if (isUnsafe(method)) {
      this.follow(request, response);
    }
    next();
  };

  private follow(request: IncomingMessage, response: ServerResponse): void {
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
    const written = writtenFields(response);
    response.end = ((...args: unknown[]) => {
      Reflect.deleteProperty(response, 'end');
      const dropping = this.drop(request, response.statusCode, { ...response.getHeaders(), ...written() });
      if (dropping === undefined) {
        return end(...args);
      }
      const answer = (): unknown => end(...args);
      dropping.then(answer, answer);
      return response;
    }) as End;
  }

  /** @returns `undefined` when nothing is outdated */
  private drop(request: IncomingMessage, status: number, fields: Fields): Promise<unknown> | undefined {
    const { method = '', headers } = request;
    const url = urlOf(hostOf(headers), (request as { originalUrl?: string }).originalUrl ?? request.url ?? '');
    const urls = url === undefined ? [] : invalidatedUrls({ method, url, status, fields });
    const tags = status < 400 ? [...invalidatedGroups({ method, fields }), ...purgedTagsOf(request)] : [];
    // A tag that can't be used must not prevent the others from being invalidated.
    const usable = tags.filter(isUsableTag).map(ownTag);
    return urls.length + usable.length === 0
      ? undefined
      : Promise.all([this.entries.purge(urls), this.router.responses.cache.invalidateTags(...usable)]);
  }
}

/** The fields that `writeHead` is given, by lower-case name: Fastify sets its fields there, all at once. */
function writtenFields(response: ServerResponse): () => Fields {
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  let written: Fields = {};
  response.writeHead = (...args: unknown[]) => {
    const given = args.find((arg) => typeof arg === 'object' && arg !== null && !Array.isArray(arg)) as
      Fields | undefined;
    written = Object.fromEntries(Object.entries(given ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
    return writeHead(...args);
  };
  return () => written;
}
