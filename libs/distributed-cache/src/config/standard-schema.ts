/**
 * Standard Schema, version 1 (https://standardschema.dev): the interface that zod, valibot, arktype and others share.
 * Only the part in use is declared, so that no package is needed for it.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The value as the schema outputs it, or the issues. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly object[] };

/**
 * Whether a value is a Standard Schema: an object or a function (arktype's are functions) with the property
 * `~standard`.
 */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
    return false;
  }
  const standard = (value as Partial<Record<'~standard', unknown>>)['~standard'];
  return (
    typeof standard === 'object' &&
    standard !== null &&
    typeof (standard as Record<string, unknown>)['validate'] === 'function'
  );
}
