/** A method that these decorators can wrap: what they return is always a promise, so it must have been one before. */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** What the compiler shows when an option's function does not fit the method under the decorator. */
export interface OptionDoesNotFitMethod {
  readonly 'The functions in the options must accept the parameters and the result of the decorated method': never;
}

type Fits<Args extends unknown[], Result, Method extends AsyncMethod> = [
  (...args: Args) => void,
  (result: Result) => void,
] extends [(...args: Parameters<Method>) => void, (result: Awaited<ReturnType<Method>>) => void]
  ? unknown
  : OptionDoesNotFitMethod;

/** A decorator for asynchronous methods whose parameters begin with `Args` and whose promise holds a `Result`. */
export type AsyncMethodDecorator<Args extends unknown[], Result> = <Method extends AsyncMethod>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<Method> & Fits<Args, Result, Method>,
) => void;
