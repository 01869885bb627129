let made = 0;

/**
 * @internal An object that is made once for each cache, such as the keys of a decorated method. It is numbered, so that
 * a call finds it by its index.
 */
export class Binding<Cache, Bound extends object> {
  readonly index = made++;

  constructor(readonly make: (cache: Cache) => Bound) {}
}
