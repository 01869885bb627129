import { applyDecorators, type Type } from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiParam,
  ApiResponse,
} from '@nestjs/swagger';
import { DomainReport } from './reports/domain.report.js';

const CACHE_STATUS = {
  description:
    'What each cache did for this answer (RFC 9211): a hit with its remaining TTL in seconds, or why there was none.',
  schema: { type: 'string' },
} as const;

const ETAG = {
  description: 'Names this state of the answer. A request with this text in If-None-Match gets 304.',
  schema: { type: 'string' },
} as const;

const AGE = {
  description: 'Seconds since the handler made the response. Absent if the handler made it for this request.',
  schema: { type: 'integer', minimum: 0 },
} as const;

export function ApiTerm(): MethodDecorator {
  return ApiParam({ name: 'term', type: String, example: 'linux' });
}

export function ApiDomain(): MethodDecorator {
  return ApiParam({ name: 'domain', type: String, example: 'lockergnome.com' });
}

/**
 * Documents the answers of a route with their headers.
 * @param isStored whether whole responses are stored: such a response has an age
 */
export function ApiAnswer(report: Type, { isStored }: { readonly isStored: boolean }): MethodDecorator {
  const isDomain = report === DomainReport;
  const statusAndAge = { 'Cache-Status': { ...CACHE_STATUS, ...example(isStored) }, ...(isStored && { Age: AGE }) };
  const headers = { ETag: ETAG, ...statusAndAge };
  return applyDecorators(
    ApiHeader({ name: 'If-None-Match', required: false, description: 'The ETag of the answer that the client has.' }),
    ApiOkResponse({ type: report, headers }),
    ApiResponse({ status: 304, description: 'The client has this answer; the body is empty.', headers }),
    ApiBadRequestResponse({ description: `The ${isDomain ? 'domain' : 'term'} is blank or too long.` }),
    ...(isDomain
      ? [ApiNotFoundResponse({ description: 'No mail came from this domain.', headers: statusAndAge })]
      : []),
  );
}

function example(isStored: boolean): { example: string } {
  return { example: isStored ? 'http; hit; ttl=599' : 'keywords; hit; ttl=86399; detail=local' };
}
