import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';

export type RequestFields = Readonly<Record<string, string | readonly string[]>>;

/** A response as it was sent: its bytes are not decoded. */
export interface RawAnswer {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** Whether the body came to its end. */
  readonly isComplete: boolean;
}

/** A request of `node:http`, which adds no field besides `Host` and `Connection` and takes a path as it is. */
export function send(
  port: number,
  path: string,
  fields: RequestFields = {},
  method = 'GET',
  body?: string,
): { readonly request: ClientRequest; readonly answer: Promise<RawAnswer> } {
  const outgoing = request({ port, host: '127.0.0.1', path, method, headers: fields as IncomingHttpHeaders });
  const answer = new Promise<RawAnswer>((resolve, reject) => {
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', () => {}); // a body that breaks off; `close` follows
      response.once('close', () =>
        resolve({
          status: response.statusCode ?? 0,
          fields: response.headers,
          bytes: Buffer.concat(pieces),
          isComplete: response.complete,
        }),
      );
    });
  });
  answer.catch(() => {});
  outgoing.end(body);
  return { request: outgoing, answer };
}

export function get(port: number, path: string, fields?: RequestFields, method?: string): Promise<RawAnswer> {
  return send(port, path, fields, method).answer;
}

/** The body of an answer without its content coding. */
export function bodyOf({ fields, bytes }: RawAnswer): string {
  const decode = { br: brotliDecompressSync, gzip: gunzipSync, deflate: inflateSync }[
    fields['content-encoding'] ?? ''
  ] as ((bytes: Buffer) => Buffer) | undefined;
  return (decode === undefined || bytes.length === 0 ? bytes : decode(bytes)).toString();
}

/** Numbers from 0 to 1 that a seed decides. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
