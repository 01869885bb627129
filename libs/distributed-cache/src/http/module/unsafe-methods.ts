import type { IncomingMessage, ServerResponse } from 'node:http';
import { purgedTagsOf } from '../decorators/cached-response.decorator.js';
import { hostOf } from '../entry/response-key.js';
import { urlTag } from '../response-policy.js';
import type { Fields } from '../rules/fields.js';
import { invalidatedGroups, invalidatedUrls, isUnsafe } from '../rules/invalidation.js';
import { isUsableTag } from '../response-policy.js';
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
      this.follow(request, response);
    }
    next();
  };

  private follow(request: IncomingMessage, response: ServerResponse): void {
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
    const written = writtenFields(response);
    response.end = ((...args: unknown[]) => {
      Reflect.deleteProperty(response, 'end');
      const tags = this.outdatedTags(request, response, { ...response.getHeaders(), ...written() });
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

  private outdatedTags(request: IncomingMessage, response: ServerResponse, fields: Fields): string[] {
    const { method = '' } = request;
    const path = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/';
    const url = `http://${hostOf(request.headers)}${path}`;
    if (!URL.canParse(url)) {
      return [];
    }
    const urls = invalidatedUrls({ method, url, status: response.statusCode, fields });
    const groups = response.statusCode < 400 ? invalidatedGroups({ method, fields }) : [];
    const purged = response.statusCode < 400 ? purgedTagsOf(request) : [];
    // A tag that can't be used must not prevent the others from being invalidated.
    return [...urls.map((outdated) => urlTag(outdated)), ...groups, ...purged].filter(isUsableTag);
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
