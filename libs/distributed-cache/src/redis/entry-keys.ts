/** The names of an entry: its value, the lease to load it, and the place where a loaded value waits to be moved in. */
export interface EntryKeys {
  readonly valueKey: string;
  readonly leaseKey: string;
  readonly fillKey: string;
}
