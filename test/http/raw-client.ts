import { connect } from 'node:net';

export type RawFields = readonly (readonly [name: string, value: string])[];

/** A request as its lines. */
export interface Probe {
  readonly target: string;
  readonly fields?: RawFields;
  readonly host?: string;
  readonly method?: string;
  readonly version?: '1.0' | '1.1';
  readonly body?: string;
}

export interface ProbeAnswer {
  readonly status: number;
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
}

/** Sends the requests over one connection, all at once. @returns the answers, in their order */
export function sendAll(port: number, probes: readonly Probe[]): Promise<ProbeAnswer[]> {
  const text = probes.map((probe, index) => textOf(probe, index === probes.length - 1)).join('');
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (piece) => pieces.push(piece));
    socket.once('error', reject);
    socket.once('close', () => resolve(answersIn(Buffer.concat(pieces), probes)));
  });
}

export async function ask(port: number, probe: Probe): Promise<ProbeAnswer> {
  const [answer] = await sendAll(port, [probe]);
  if (answer === undefined) {
    throw new Error(`no answer to ${JSON.stringify(probe)}`);
  }
  return answer;
}

function textOf(
  { target, fields = [], host = 'shop.example', method = 'GET', version = '1.1', body = '' }: Probe,
  isLast: boolean,
) {
  const lines = [
    `${method} ${target} HTTP/${version}`,
    ...(host === '' ? [] : [`Host: ${host}`]),
    ...fields.map(([name, value]) => `${name}: ${value}`),
    ...(isLast ? ['Connection: close'] : []),
    ...(body === '' && method !== 'POST' ? [] : [`Content-Length: ${body.length}`]),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function answersIn(bytes: Buffer, probes: readonly Probe[]): ProbeAnswer[] {
  let rest = bytes.toString('latin1');
  const answers: ProbeAnswer[] = [];
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const status = Number(statusLine.split(' ')[1]);
    rest = rest.slice(end + 4);
    if (status < 200) {
      continue;
    }
    const fields = new Map<string, string[]>();
    for (const line of lines) {
      const name = line.slice(0, line.indexOf(':')).toLowerCase();
      fields.set(name, [...(fields.get(name) ?? []), line.slice(line.indexOf(':') + 1).trim()]);
    }
    const hasBody = probes[answers.length]?.method !== 'HEAD' && status !== 204 && status !== 304;
    const [body, after] = hasBody ? bodyIn(rest, fields) : ['', rest];
    answers.push({ status, fields, body });
    rest = after;
  }
  return answers;
}

function bodyIn(text: string, fields: ReadonlyMap<string, readonly string[]>): [body: string, after: string] {
  const length = fields.get('content-length')?.[0];
  if (length !== undefined) {
    return [text.slice(0, Number(length)), text.slice(Number(length))];
  }
  if (fields.get('transfer-encoding') === undefined) {
    return [text, ''];
  }
  let body = '';
  let rest = text;
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, lineEnd), 16);
    body += rest.slice(lineEnd + 2, lineEnd + 2 + size);
    rest = rest.slice(lineEnd + 4 + size);
    if (!(size > 0)) {
      return [body, rest];
    }
  }
}
