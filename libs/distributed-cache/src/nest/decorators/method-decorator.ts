/**
 * A method that these decorators can wrap. The wrapped method always returns a promise, so the original must return
 * one, too.
 */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** The type that the compiler shows when an option's function does not fit the decorated method. */
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
