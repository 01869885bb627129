let made = 0;

/** @internal What is made once for each cache, such as the keys of a decorated method; numbered, so that a call finds it by its place. */
export class Binding<Cache, Bound extends object> {
  readonly index = made++;

  constructor(readonly make: (cache: Cache) => Bound) {}
}
