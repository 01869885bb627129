/** Names beside a value, as versions before 0.2 have them: outside `prefix:`. */
export interface FormerNames {
  readonly leaseKey: string;
  readonly fillKey: string;
  readonly companionKey: string;
}

/**
 * Only for the time in which processes of such a version may run beside this one; see `redis/former-names.ts`.
 * @param valueKey as `KeyLayout.valueKey` makes it
 */
export function formerNamesOf(valueKey: string): FormerNames {
  const slot = `{${valueKey}}`;
  return { leaseKey: `${slot}:lease`, fillKey: `${slot}:fill`, companionKey: `${slot}:about` };
}
