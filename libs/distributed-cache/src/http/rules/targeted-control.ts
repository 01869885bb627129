import { parseDictionary } from 'structured-headers';
import { CacheControl } from './cache-control.js';
import { fieldText, type Fields } from './fields.js';

/*
 * Targeted cache control (RFC 9213): a field such as `CDN-Cache-Control` speaks to one kind of cache, and replaces
 * `Cache-Control` and `Expires` for it.
 */

/** The directives that apply to this cache. */
export interface EffectiveControl {
  readonly control: CacheControl;
  /** Whether `Expires` counts: a targeted field replaces it, too. */
  readonly usesExpires: boolean;
}

/**
 * The first field of the target list that is present and valid decides (section 2.2); without one, `Cache-Control` does.
 * @param targets field names in lower case, the most specific one first
 */
export function effectiveControl(fields: Fields, targets: readonly string[] = []): EffectiveControl {
  for (const target of targets) {
    const control = targetedControl(fields, target);
    if (control !== undefined) {
      return { control, usesExpires: false };
    }
  }
  return { control: CacheControl.of(fields), usesExpires: true };
}

/** @returns `undefined` when the field is absent, empty, or no dictionary (section 2.1): then it is ignored */
function targetedControl(fields: Fields, name: string): CacheControl | undefined {
  const text = fieldText(fields, name);
  if (text === undefined) {
    return undefined;
  }
  try {
    const directives = [...parseDictionary(text)].flatMap(([directive, member]) => {
      const argument = argumentOf(member[0]);
      return argument === false ? [] : [[directive, argument] as const];
    });
    return directives.length === 0 ? undefined : CacheControl.from(directives);
  } catch {
    return undefined;
  }
}

/** The argument in the form of `Cache-Control`; `false` for a directive that is switched off (`no-store=?0`). */
function argumentOf(value: unknown): string | undefined | false {
  if (typeof value === 'boolean') {
    return value ? undefined : false;
  }
  return typeof value === 'string' || (typeof value === 'number' && Number.isInteger(value)) ? `${value}` : '';
}
