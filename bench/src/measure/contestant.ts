/** A row of a table. The contestant with the role `floor` is the unit of the table. */
export interface Contestant {
  readonly name: string;
  readonly role: 'floor' | 'ours' | 'peer';
  /** The measured call as a user would write it: an expression over `key` and the names in `scope`. */
  readonly call: string;
  readonly scope: Readonly<Record<string, unknown>>;
  /** Closes connections and timers. */
  readonly close?: () => Promise<void>;
}

/** A contestant that is not open yet. `open` gives it an empty memory and a connection. */
export interface Entrant {
  readonly name: string;
  readonly role: Contestant['role'];
  readonly open: () => Promise<Contestant>;
}

interface Opened {
  readonly close?: () => unknown;
}

/** @param openIt opens the cache; its result and `scope` are the names that `call` may use */
export function entrant(
  name: string,
  role: Entrant['role'],
  call: string,
  openIt: () => object | Promise<object>,
  scope: Contestant['scope'] = {},
): Entrant {
  const open = async () => {
    const opened: Opened = { ...(await openIt()) };
    const close = async () => void (await opened.close?.());
    return { name, role, call, scope: { ...opened, ...scope }, close };
  };
  return { name, role, open };
}

export async function closeAll(contestants: readonly Contestant[]): Promise<void> {
  await Promise.all(contestants.map(async (contestant) => contestant.close?.()));
}
