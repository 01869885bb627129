import Negotiator from 'negotiator';
import { fieldLines, fieldText, type Fields } from './fields.js';

/** The content codings that a body is kept in besides its own bytes. */
export type ContentCoding = 'br' | 'gzip';

/** The types of the package lack its second argument: the order among codings that the client likes equally. */
interface PreferringNegotiator {
  encoding(available: string[], options: { readonly preferred: string[] }): string | undefined;
}

/** Media types whose bodies are text, and so become much smaller. */
const COMPRESSIBLE =
  /^(?:text\/|application\/(?:[^;]*\+)?(?:json|xml|javascript|ecmascript|graphql|yaml|wasm)\b|image\/svg\+xml\b|font\/(?:otf|ttf)\b)/i;

/** Whether a body of this media type is worth compressing. An event stream is not: it is sent piece by piece. */
export function isCompressible(contentType: string | undefined): boolean {
  return contentType !== undefined && COMPRESSIBLE.test(contentType) && !/^text\/event-stream\b/i.test(contentType);
}

/**
 * The coding to send (RFC 9110 section 12.5.3).
 * @param offered the codings that are there, the best one first
 * @returns `identity` when the client wants none of them
 */
export function chooseCoding(requestFields: Fields, offered: readonly ContentCoding[]): ContentCoding | 'identity' {
  const accepted = fieldText(requestFields, 'accept-encoding');
  if (accepted === undefined || offered.length === 0) {
    return 'identity'; // without the field any coding is allowed, but a client that has none can't undo it
  }
  const negotiator = new Negotiator({ headers: { 'accept-encoding': accepted } }) as PreferringNegotiator;
  const best = negotiator.encoding([...offered, 'identity'], { preferred: [...offered] });
  return offered.find((coding) => coding === best) ?? 'identity';
}

/** The number of values of `Accept-Encoding` that are remembered: browsers send a handful. */
const MAX_REMEMBERED = 64;

/** {@link chooseCoding} for one list of codings, which remembers what it has chosen. */
export function codingChooser(
  offered: readonly ContentCoding[],
): (requestFields: Fields) => ContentCoding | 'identity' {
  const chosen = new Map<Fields[string], ContentCoding | 'identity'>();
  return (requestFields) => {
    const accepted = requestFields['accept-encoding'];
    let coding = chosen.get(accepted);
    if (coding === undefined) {
      coding = chooseCoding(requestFields, offered);
      if (chosen.size < MAX_REMEMBERED && String(accepted).length < 256) {
        chosen.set(accepted, coding);
      }
    }
    return coding;
  };
}

/**
 * The best match of a client's `Accept-Language` among the languages that an application has (RFC 9110 section 12.5.4).
 * @returns the first of them when the client accepts none, or says nothing
 */
export function chooseLanguage(requestFields: Fields, offered: readonly string[]): string | undefined {
  const lines = fieldLines(requestFields, 'accept-language');
  const negotiator = new Negotiator({ headers: { 'accept-language': lines.join(', ') } });
  return (lines.length === 0 ? undefined : negotiator.language([...offered])) ?? offered[0];
}
