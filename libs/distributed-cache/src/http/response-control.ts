import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { toMs, type Duration } from '../core/index.js';
import type { Fields } from './rules/fields.js';
import { isNotModified } from './rules/validators.js';

/** What identifies the state that a response shows, for {@link ResponseControl.modified}. */
export interface Validators {
  /** A version: it becomes a strong entity tag. */
  readonly etag?: string | number;
  readonly lastModified?: Date;
}

/** Steers from inside a handler how its response is cached. Where the cache is passed by, it has no effect. */
export class ResponseControl {
  /** @internal */
  ttlMs: number | undefined;
  /** @internal */
  isForbidden = false;
  /** @internal */
  readonly addedTags: string[] = [];
  /** @internal What `modified` found: the stored response is current, or that of the client is. */
  current: 'stored' | 'client' | undefined;
  private setField: (name: string, value: string) => void = () => {};
  private storedFields: Fields | undefined;
  private clientFields: Fields = {};
  private onCurrent: () => void = () => {};

  /**
   * @internal Connects it with the exchange of its handler.
   * @param client the fields of the request, as its client sent them
   * @param stored the fields of the response that is to be replaced
   * @param onCurrent called when no body will be made
   */
  attach(
    setField: (name: string, value: string) => void,
    client: Fields,
    stored?: Fields,
    onCurrent: () => void = () => {},
  ): void {
    this.setField = setField;
    this.clientFields = client;
    this.storedFields = stored;
    this.onCurrent = onCurrent;
  }

  /** How long this response is fresh in the cache; it has priority over the option. */
  ttl(ttl: Duration): void {
    this.ttlMs = toMs(ttl);
  }

  /** Adds tags to those of the options. */
  tags(...tags: string[]): void {
    this.addedTags.push(...tags);
  }

  /** This response is sent and not stored. */
  noStore(): void {
    this.isForbidden = true;
  }

  /** This response is for its client alone: it is not stored, and `Cache-Control: private` says so to other caches. */
  private(): void {
    this.isForbidden = true;
    this.setField('cache-control', 'private');
  }

  /**
   * Whether the handler has to make a body. False: the stored response, or the one that the client has, is current;
   * the handler returns without a body, and the client gets 304 or the stored body. `ETag` and `Last-Modified` are set
   * in either case.
   */
  modified({ etag, lastModified }: Validators): boolean {
    const fields = {
      ...(etag !== undefined && { etag: `"${etag}"` }),
      ...(lastModified !== undefined && { 'last-modified': lastModified.toUTCString() }),
    };
    for (const [name, value] of Object.entries(fields)) {
      this.setField(name, value);
    }
    if (this.storedFields !== undefined && isSame(fields, this.storedFields)) {
      this.current = 'stored';
    } else if (isNotModified(this.clientFields, fields, Date.now())) {
      this.current = 'client';
    }
    if (this.current !== undefined) {
      this.onCurrent();
    }
    return this.current === undefined;
  }
}

function isSame(fields: Fields, stored: Fields): boolean {
  const names = Object.keys(fields);
  return names.length > 0 && names.every((name) => fields[name] === stored[name]);
}

const controls = new WeakMap<object, ResponseControl>();

/** The control of a request of `node:http`, made at its first use. */
export function controlOf(request: object): ResponseControl {
  let control = controls.get(request);
  if (control === undefined) {
    control = new ResponseControl();
    controls.set(request, control);
  }
  return control;
}

/** Injects the {@link ResponseControl} of the request into a parameter of the handler. */
export const ResponseCache = createParamDecorator((_data: unknown, context: ExecutionContext) => {
  const request = context.getArgByIndex<{ readonly raw?: object }>(0);
  return controlOf(request.raw ?? request);
});
