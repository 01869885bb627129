import { parseArgs } from 'node:util';

export interface CommandLine {
  readonly only: readonly string[];
  readonly quick: boolean;
  readonly seed: number;
}

/** `--only l1,bytes`, `--quick`, `--seed 42`. @throws for an unknown option */
export function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: { only: { type: 'string', multiple: true }, quick: { type: 'boolean' }, seed: { type: 'string' } },
  });
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
  if (!Number.isInteger(seed)) {
    throw new RangeError(`--seed must be an integer, got ${values.seed}`);
  }
  const only = (values.only ?? []).flatMap((list) => list.split(',')).filter(Boolean);
  return { only, quick: values.quick === true, seed };
}
