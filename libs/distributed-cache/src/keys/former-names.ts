/** The names beside a value in versions before 0.2: outside `prefix:`. */
export interface FormerNames {
  readonly leaseKey: string;
  readonly fillKey: string;
  readonly companionKey: string;
}

/**
 * The former names of a value. They are needed only while processes of such a version may run beside this one; see
 * `redis/former-names.ts`.
 * @param valueKey as `KeyLayout.valueKey` makes it
 */
export function formerNamesOf(valueKey: string): FormerNames {
  const slot = `{${valueKey}}`;
  return { leaseKey: `${slot}:lease`, fillKey: `${slot}:fill`, companionKey: `${slot}:about` };
}
