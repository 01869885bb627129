/** Who takes part in a table. One floor is the unit of it. */
export interface Contestant {
  readonly name: string;
  readonly role: 'floor' | 'ours' | 'peer';
  /** The measured call as a user would write it: an expression over `key`, `keys` (a hundred) and the names in `scope`. */
  readonly call: string;
  readonly scope: Readonly<Record<string, unknown>>;
  /** Ends connections and timers. */
  readonly close?: () => Promise<void>;
}

/** A name of a contestant with what opens it: for tables in which every round begins with a memory that is empty. */
export interface Entrant {
  readonly name: string;
  readonly role: Contestant['role'];
  readonly open: () => Promise<Contestant>;
}

export async function closeAll(contestants: readonly Contestant[]): Promise<void> {
  await Promise.all(contestants.map(async (contestant) => contestant.close?.()));
}
