import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { DashboardRequest } from './options.js';

/*
 * How a request that a page of another site sends is told from one of the admin page, in three ways of which each is
 * enough in most browsers: what the browser says about the origin (`Sec-Fetch-Site`, else `Origin`), a cookie that is not
 * sent with requests of other sites, and a token in each form that only this page can make, as it needs the cookie.
 *
 * Nothing is kept for a token until it is used, so a form of one process can be sent to another one. A used token is
 * remembered by its process, and refused there.
 */

const LIFE_MS = 3_600_000;
const MOST_USED = 10_000;
const COOKIE_BYTES = 16;

const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD';

/**
 * Whether a page of another origin has caused the request. A link to the admin page counts as its own: it only reads, and
 * opens a page that the other one can't see.
 */
export function isForeign({ method, headers }: DashboardRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) {
    const isLink = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
    return site !== 'same-origin' && !(isReading(method) && (site === 'none' || isLink));
  }
  const { origin } = headers;
  const host = origin === undefined ? undefined : hostOf(String(origin));
  const own = [headers['host'], headers[':authority'], headers['x-forwarded-host']];
  // Without a host: `null`, the origin of a page in a sandbox.
  return origin !== undefined && (host === undefined || !own.includes(host));
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** The cookie of a browser: the secret with which its forms are signed. */
export interface FormCookie {
  readonly secret: string;
  /** The header that sets it, for a browser that has none. */
  readonly header: string | undefined;
}

/** The cookie of the request, or a new one. */
export function formCookieOf(request: DashboardRequest): FormCookie {
  const name = cookieName(request);
  const sent = secretIn(request);
  if (sent !== undefined) {
    return { secret: sent, header: undefined };
  }
  const secret = randomBytes(COOKIE_BYTES).toString('base64url');
  const secure = isSecure(request) ? '; Secure' : '';
  return { secret, header: `${name}=${secret}; Path=/; HttpOnly; SameSite=Strict${secure}` };
}

/** The secret that the browser has sent. */
export function secretIn(request: DashboardRequest): string | undefined {
  const name = cookieName(request);
  const pairs = String(request.headers['cookie'] ?? '').split(/; ?/);
  const values = pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1));
  // Two cookies of one name: one of them was set for a parent domain, perhaps by another site of it.
  return values.length === 1 && /^[\w-]{22}$/.test(values[0] ?? '') ? values[0] : undefined;
}

/** Over HTTPS no other host can set a cookie of this name: see `__Host-` in RFC 6265bis. */
function cookieName(request: DashboardRequest): string {
  return isSecure(request) ? '__Host-cache-dashboard' : 'cache-dashboard';
}

function isSecure(request: DashboardRequest): boolean {
  const [forwarded] = String(request.headers['x-forwarded-proto'] ?? '').split(',');
  return request['protocol'] === 'https' || forwarded?.trim() === 'https';
}

/** The tokens of the forms: each is for one action of one browser, for an hour, and counts once. */
export class FormTokens {
  private readonly used = new Set<string>();

  constructor(private readonly now: () => number = Date.now) {}

  issue(secret: string, action: string): string {
    const head = `${(this.now() + LIFE_MS).toString(36)}.${randomBytes(12).toString('base64url')}`;
    return `${head}.${signed(secret, action, head)}`;
  }

  /** Uses a token up. @returns why it does not count, or `undefined` */
  spend(secret: string | undefined, action: string, token: string | undefined): string | undefined {
    const [expires = '', nonce = '', signature = ''] = (token ?? '').split('.');
    const head = `${expires}.${nonce}`;
    if (secret === undefined || !isSame(signature, signed(secret, action, head))) {
      return 'The form is not of this page, or the cookie of the page is missing';
    }
    if (Number.parseInt(expires, 36) < this.now()) {
      return 'The form is older than an hour';
    }
    if (this.used.has(nonce)) {
      return 'The form has been sent before';
    }
    this.used.add(nonce);
    if (this.used.size > MOST_USED) {
      const [oldest = ''] = this.used;
      this.used.delete(oldest);
    }
    return undefined;
  }
}

function signed(secret: string, action: string, head: string): string {
  return createHmac('sha256', secret).update(`${action}\n${head}`).digest('base64url');
}

function isSame(one: string, other: string): boolean {
  const [bytes, otherBytes] = [Buffer.from(one), Buffer.from(other)];
  return bytes.length === otherBytes.length && timingSafeEqual(bytes, otherBytes);
}

const MOST_BODY_BYTES = 65_536;

/**
 * The fields of a form that was sent, whether or not the application parses bodies. A field that is no text is missing.
 * @returns `undefined` for a body of another kind, or one that is too long
 */
export async function fieldsOf(request: DashboardRequest): Promise<ReadonlyMap<string, string> | undefined> {
  const type = String(request.headers['content-type'] ?? '');
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
    return undefined;
  }
  const body: unknown = request['body'] ?? (await read(request));
  if (body === undefined) {
    return undefined;
  }
  if (typeof body === 'string' || Buffer.isBuffer(body)) {
    return new Map(new URLSearchParams(body.toString()));
  }
  const pairs = Object.entries(body ?? {}) as [string, unknown][];
  return new Map(pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

async function read(request: DashboardRequest): Promise<string | undefined> {
  const stream = (request['raw'] ?? request) as AsyncIterable<Buffer>;
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stream) {
    size += piece.length;
    if (size > MOST_BODY_BYTES) {
      return undefined;
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
