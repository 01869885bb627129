import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, Transform } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { type Fields, joined } from '../rules/fields.js';
import {
  type Answer,
  BodyCollector,
  Exchange,
  fieldsOfHandler,
  isReduced,
  type ReadyAnswer,
  type ResponseListener,
} from './exchange.js';

/** The parts of a Fastify request that the cache uses. */
export interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly headers: Fields;
  readonly params: unknown;
  readonly server: object;
}

type Serializer = (payload: unknown) => string | Buffer;

/** The parts of a Fastify reply that the cache uses. */
export interface FastifyReply {
  readonly raw: ServerResponse;
  statusCode: number;
  getHeader(name: string): Fields[string];
  getHeaders(): Fields;
  header(name: string, value: unknown): FastifyReply;
  removeHeader(name: string): FastifyReply;
  code(status: number): FastifyReply;
  send(payload?: unknown): FastifyReply;
  /** `null` stands for the serializer of the route; Fastify documents only the function. */
  serializer(serialize: Serializer | null): FastifyReply;
  serialize(payload: unknown): string;
}

/** An exchange of Fastify. */
export class FastifyExchange extends Exchange {
  constructor(
    request: FastifyRequest,
    private readonly reply: FastifyReply,
  ) {
    super(request, { request: request.raw, response: reply.raw }, request.params as Exchange['params'] | undefined);
  }

  setField(name: string, value: string | readonly string[]): void {
    if (name === 'set-cookie') {
      this.reply.removeHeader(name); // `header` adds to it
    }
    this.reply.header(name, value);
  }

  field(name: string): Fields[string] {
    return this.reply.getHeader(name);
  }

  send({ status, fields, body }: Answer): void {
    const { reply } = this;
    reply.code(status);
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) {
        this.setField(name, value as string);
      }
    }
    // An empty buffer would be given a content type.
    reply.send(body?.length === 0 ? undefined : body);
  }

  sendReady({ status, lines, body }: ReadyAnswer, age: string, cacheStatus: string | undefined): void {
    const { reply } = this;
    reply.code(status);
    for (const [name, value] of lines) {
      reply.header(name, value);
    }
    reply.header('age', age);
    if (cacheStatus !== undefined) {
      reply.header('cache-status', cacheStatus);
    }
    reply.send(body?.length === 0 ? undefined : body);
  }

  follow(listener: ResponseListener, maxBodyBytes: number): void {
    new ReplyTap(this, this.reply, listener, maxBodyBytes).install();
  }
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TEXT = 'application/json; charset=utf-8';
const BYTES = 'application/octet-stream';

/**
 * Follows a reply of Fastify by a `send` of its own on this one object. Hooks of `onSend` (compression, sessions) run
 * after it, so their fields and bytes do not reach the cache; they run again when a stored response is sent.
 */
class ReplyTap {
  private readonly before: Fields;
  private readonly collector: BodyCollector;
  private isDecided = false;
  private isEnded = false;

  constructor(
    private readonly exchange: Exchange,
    private readonly reply: FastifyReply,
    private readonly listener: ResponseListener,
    private readonly maxBodyBytes: number,
  ) {
    this.before = { ...reply.getHeaders() };
    this.collector = new BodyCollector(maxBodyBytes);
  }

  install(): void {
    const { reply } = this;
    reply.send = (payload) => {
      Reflect.deleteProperty(reply, 'send');
      return this.send(payload);
    };
    reply.raw.once('close', () => this.finish(undefined)); // without an end: the body was broken off
  }

  private send(payload: unknown): FastifyReply {
    const { reply } = this;
    if (payload instanceof Error) {
      this.decide(undefined); // Fastify's own handler of errors answers
      return reply.send(payload);
    }
    if (payload === undefined) {
      return this.sendWhole(payload, Buffer.alloc(0));
    }
    if (typeof payload === 'string' || payload instanceof Uint8Array) {
      this.setType(typeof payload === 'string' ? TEXT : BYTES);
      return this.sendWhole(payload, Buffer.from(payload as string));
    }
    const stream = streamOf(payload, reply);
    return stream === undefined ? this.sendSerialized(payload) : this.sendStream(stream);
  }

  private sendWhole(payload: unknown, body: Buffer): FastifyReply {
    const replacement = this.decide(body);
    if (replacement !== undefined) {
      this.replaceBy(replacement);
      return this.reply;
    }
    this.reply.send(payload);
    this.finish(body.length > this.maxBodyBytes ? undefined : body);
    return this.reply;
  }

  /** Lets Fastify turn the payload into text, after its `preSerialization` hooks. */
  private sendSerialized(payload: unknown): FastifyReply {
    const { reply } = this;
    const type = reply.getHeader('content-type');
    if (type === undefined || /json/i.test(joined(type))) {
      this.setType(JSON_TEXT);
      reply.serializer((final) => {
        const text = reply.serializer(null).serialize(final);
        const body = Buffer.from(text);
        const replacement = this.decide(body);
        this.finish(replacement !== undefined || body.length > this.maxBodyBytes ? undefined : body);
        return replacement === undefined ? text : this.replacementBody(replacement);
      });
    } else {
      this.decide(undefined);
    }
    return reply.send(payload);
  }

  private sendStream(stream: NodeJS.ReadableStream): FastifyReply {
    const replacement = this.decide(undefined);
    if (replacement !== undefined) {
      (stream as Readable).destroy();
      this.replaceBy(replacement);
      return this.reply;
    }
    const declaredLength = this.reply.getHeader('content-length');
    const { collector } = this;
    const finish = (): void => this.finish(collector.body(declaredLength));
    const tap = new Transform({
      transform(chunk, encoding, done) {
        collector.add(chunk, encoding);
        done(null, chunk);
      },
      flush(done) {
        finish();
        done();
      },
    });
    stream.once('error', (error) => tap.destroy(error));
    tap.once('close', () => (stream as Readable).destroy());
    return this.reply.send(stream.pipe(tap));
  }

  private decide(body: Buffer | undefined): Answer | undefined {
    if (this.isDecided) {
      return undefined;
    }
    this.isDecided = true;
    const after = this.reply.getHeaders();
    const fields = fieldsOfHandler(this.before, after);
    return this.listener.onHead(
      { status: this.reply.statusCode, fields, isReduced: isReduced(this.before, after) },
      body,
    );
  }

  private replaceBy(answer: Answer): void {
    this.resetFields();
    this.exchange.send(answer);
    this.finish(undefined);
  }

  /** The reply is being serialized: its head can still be changed, and this body is sent in place of the payload. */
  private replacementBody({ status, fields, body }: Answer): string | Buffer {
    this.resetFields();
    this.reply.code(status);
    for (const [name, value] of Object.entries(fields)) {
      this.exchange.setField(name, value as string);
    }
    return body ?? '';
  }

  private resetFields(): void {
    const { reply, before } = this;
    for (const name of Object.keys(reply.getHeaders())) {
      reply.removeHeader(name);
    }
    for (const [name, value] of Object.entries(before)) {
      reply.header(name, value);
    }
  }

  /** Sets the content type that Fastify would set, so that it is stored. */
  private setType(type: string): void {
    const { reply } = this;
    const given = reply.getHeader('content-type');
    if (given === undefined) {
      reply.header('content-type', type);
    } else if (type !== BYTES && /^[^;]*json[^;]*$/i.test(joined(given))) {
      reply.header('content-type', `${joined(given)}; charset=utf-8`);
    }
  }

  private finish(body: Buffer | undefined): void {
    if (!this.isEnded) {
      this.isEnded = true;
      this.decide(undefined);
      this.listener.onEnd(body);
    }
  }
}

/** The payload as a stream, if it is one. The head of a web `Response` becomes that of the reply. */
function streamOf(payload: unknown, reply: FastifyReply): NodeJS.ReadableStream | undefined {
  if (payload instanceof Response) {
    reply.code(payload.status);
    payload.headers.forEach((value, name) => reply.header(name, value));
    return payload.body === null ? Readable.from([]) : Readable.fromWeb(payload.body);
  }
  if (payload instanceof ReadableStream) {
    return Readable.fromWeb(payload);
  }
  return typeof (payload as NodeJS.ReadableStream | null)?.pipe === 'function'
    ? (payload as NodeJS.ReadableStream)
    : undefined;
}
