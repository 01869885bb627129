import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Fields } from '../rules/fields.js';
import {
  type Answer,
  BodyCollector,
  Exchange,
  fieldsOfHandler,
  isReduced,
  type ReadyAnswer,
  type ResponseListener,
} from './exchange.js';

/** The parts of an Express request that `node:http` lacks. */
export interface ExpressRequest extends IncomingMessage {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly app?: object;
}

/** An exchange of Express, or of any framework that hands out the objects of `node:http`. */
export class ExpressExchange extends Exchange {
  constructor(
    request: ExpressRequest,
    private readonly response: ServerResponse,
  ) {
    super(request, { request, response }, request.params);
  }

  setField(name: string, value: string | readonly string[]): void {
    this.response.setHeader(name, value);
  }

  field(name: string): Fields[string] {
    return this.response.getHeader(name);
  }

  send({ status, fields, body }: Answer): void {
    const { response } = this;
    response.statusCode = status;
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) {
        response.setHeader(name, value);
      }
    }
    this.end(body);
  }

  sendReady({ status, lines, body }: ReadyAnswer, age: string, cacheStatus: string | undefined): void {
    const { response } = this;
    response.statusCode = status;
    for (const [name, value] of lines) {
      response.setHeader(name, value);
    }
    response.setHeader('age', age);
    if (cacheStatus !== undefined) {
      response.setHeader('cache-status', cacheStatus);
    }
    this.end(body);
  }

  private end(body: Buffer | string | undefined): void {
    const { response } = this;
    if (body === undefined) {
      response.end();
    } else {
      response.setHeader('content-length', body.length);
      response.end(body, 'latin1');
    }
  }

  follow(listener: ResponseListener, maxBodyBytes: number): void {
    new ResponseTap(this, this.response, listener, maxBodyBytes).install();
  }
}

type AnyFunction = (...args: unknown[]) => unknown;
const METHODS = ['writeHead', 'write', 'end'] as const;
type Method = (typeof METHODS)[number];

/**
 * Follows a response of `node:http`, by methods of its own on this one object. Middleware that changes a response
 * (`on-headers`, sessions, compression) has replaced the same methods earlier, so it acts after the tap: its fields and
 * its compressed bytes do not reach the cache.
 */
class ResponseTap {
  private readonly before: Fields;
  private readonly collector: BodyCollector;
  private readonly originals = new Map<Method, { readonly call: AnyFunction; readonly isOwn: boolean }>();
  private replacement: Answer | undefined;
  private isDecided = false;
  private isEnded = false;
  private declaredLength: Fields[string];

  constructor(
    private readonly exchange: Exchange,
    private readonly response: ServerResponse,
    private readonly listener: ResponseListener,
    maxBodyBytes: number,
  ) {
    this.before = response.getHeaders();
    this.collector = new BodyCollector(maxBodyBytes);
  }

  install(): void {
    const { response } = this;
    for (const method of METHODS) {
      const call = response[method] as AnyFunction;
      this.originals.set(method, { call, isOwn: Object.hasOwn(response, method) });
    }
    const own: Record<Method, AnyFunction> = {
      writeHead: (...args) => this.writeHead(args),
      write: (...args) => this.write(args),
      end: (...args) => this.end(args),
    };
    Object.assign(response, own);
    response.once('close', () => this.finish(undefined)); // without an end: the body was broken off
  }

  private writeHead(args: unknown[]): unknown {
    if (!this.isDecided) {
      this.applyHead(args);
      this.decide(undefined);
      return this.replacement === undefined ? this.call('writeHead', [this.response.statusCode]) : this.response;
    }
    return this.replacement === undefined ? this.call('writeHead', args) : this.response;
  }

  private write([chunk, encoding, callback]: unknown[]): unknown {
    this.decide(undefined);
    if (this.replacement !== undefined) {
      const done = typeof encoding === 'function' ? encoding : callback;
      if (typeof done === 'function') {
        process.nextTick(done);
      }
      return true;
    }
    this.collector.add(chunk, encoding);
    return this.call(
      'write',
      typeof encoding === 'function' ? [chunk, undefined, encoding] : [chunk, encoding, callback],
    );
  }

  private end(args: unknown[]): unknown {
    const [chunk, encoding] = typeof args[0] === 'function' ? [] : args;
    const isWhole = !this.isDecided;
    this.collector.add(chunk, encoding);
    const body = this.collector.body();
    this.decide(isWhole ? body : undefined);
    this.uninstall();
    if (this.replacement !== undefined) {
      this.resetFields();
      this.exchange.send(this.replacement);
      this.finish(undefined);
      return this.response;
    }
    const result = this.response.end(...(args as []));
    // A HEAD response of a handler may declare the length of a body that it does not send.
    this.finish(this.collector.body(this.declaredLength));
    return result;
  }

  private decide(body: Buffer | undefined): void {
    if (!this.isDecided) {
      this.isDecided = true;
      const { statusCode } = this.response;
      const after = this.response.getHeaders();
      const fields = fieldsOfHandler(this.before, after);
      this.declaredLength = fields['content-length'];
      this.replacement = this.listener.onHead(
        { status: statusCode, fields, isReduced: isReduced(this.before, after) },
        body,
      );
    }
  }

  /** Sets what an explicit `writeHead(status, message?, fields?)` was given. */
  private applyHead([status, ...rest]: unknown[]): void {
    const { response } = this;
    response.statusCode = Number(status);
    const given = rest.find((arg) => typeof arg === 'object' && arg !== null);
    if (typeof rest[0] === 'string') {
      response.statusMessage = rest[0];
    }
    const pairs = Array.isArray(given) ? pairsOf(given) : Object.entries(given ?? {});
    for (const [name, value] of pairs) {
      response.setHeader(String(name), value as string);
    }
  }

  private resetFields(): void {
    const { response } = this;
    for (const name of response.getHeaderNames().filter((field) => this.before[field] === undefined)) {
      response.removeHeader(name);
    }
    for (const [name, value] of Object.entries(this.before)) {
      response.setHeader(name, value ?? '');
    }
    response.statusMessage = '';
  }

  private uninstall(): void {
    for (const [method, { call, isOwn }] of this.originals) {
      if (isOwn) {
        Object.assign(this.response, { [method]: call });
      } else {
        Reflect.deleteProperty(this.response, method);
      }
    }
  }

  private call(method: Method, args: unknown[]): unknown {
    return this.originals.get(method)?.call.apply(this.response, args);
  }

  private finish(body: Buffer | undefined): void {
    if (!this.isEnded) {
      this.isEnded = true;
      this.decide(undefined); // a response that is closed before its head was sent still has to be decided
      this.listener.onEnd(body);
    }
  }
}

/** The fields of an array of names and values in turn, or of pairs. */
function pairsOf(fields: readonly unknown[]): (readonly [unknown, unknown])[] {
  return Array.isArray(fields[0])
    ? (fields as [unknown, unknown][])
    : Array.from({ length: fields.length / 2 }, (_, index) => [fields[index * 2], fields[index * 2 + 1]] as const);
}
