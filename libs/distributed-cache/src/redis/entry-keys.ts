/**
 * The Redis keys of one entry: its value, the lease to load it, and the staging key from which a loaded value is moved
 * to its place.
 */
export interface EntryKeys {
  readonly valueKey: string;
  readonly leaseKey: string;
  readonly fillKey: string;
}
