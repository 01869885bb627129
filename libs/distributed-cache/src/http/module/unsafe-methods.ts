import type { IncomingMessage, ServerResponse } from 'node:http';
import { purgedTagsOf } from '../decorators/cached-response.decorator.js';
import { invalidatedGroups, invalidatedUrls, isUnsafe } from '../rules/invalidation.js';
import type { HttpCacheRouter } from './router.js';

type End = ServerResponse['end'];

/**
 * Drops what a successful POST, PUT, PATCH, DELETE or any other unsafe request makes outdated, before its response
 * leaves: the stored responses of its URL, of `Location` and `Content-Location` (RFC 9111 section 4.4), and of the groups
 * in `Cache-Group-Invalidation` (RFC 9875). A client that has the answer reads what it has written.
 */
export class UnsafeMethods {
  constructor(private readonly router: HttpCacheRouter) {}

  readonly middleware = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const { method = '' } = request;
    if (isUnsafe(method)) {
      this.follow(request, response, method);
    }
    next();
  };

  private follow(request: IncomingMessage, response: ServerResponse, method: string): void {
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
    response.end = ((...args: unknown[]) => {
      Reflect.deleteProperty(response, 'end');
      const tags = this.outdatedTags(request, response, method);
      if (tags.length === 0) {
        return end(...args);
      }
      this.router.responses.cache.invalidateTags(...tags).then(
        () => end(...args),
        () => end(...args),
      );
      return response;
    }) as End;
  }

  private outdatedTags(request: IncomingMessage, response: ServerResponse, method: string): string[] {
    const { host = 'localhost' } = request.headers;
    const path = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/';
    const url = `http://${host}${path}`;
    if (!URL.canParse(url)) {
      return [];
    }
    const fields = response.getHeaders();
    const urls = invalidatedUrls({ method, url, status: response.statusCode, fields });
    const groups = response.statusCode < 400 ? invalidatedGroups({ method, fields }) : [];
    const purged = response.statusCode < 400 ? purgedTagsOf(request) : [];
    return [...urls.map((outdated) => this.router.tagOf(outdated)), ...groups, ...purged];
  }
}
