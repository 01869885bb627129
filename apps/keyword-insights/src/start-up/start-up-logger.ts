import { ConsoleLogger } from '@nestjs/common';

/** Who tells of every module and every route. Thirty such lines would hide the one that says which address to open. */
const TALKATIVE: ReadonlySet<unknown> = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestFactory']);

/** Nest's own logger without its roll call at the start, and without errors that the program explains itself. */
export class StartUpLogger extends ConsoleLogger {
  override log(message: unknown, ...optionalParams: unknown[]): void {
    if (!TALKATIVE.has(optionalParams.at(-1))) {
      super.log(message, ...optionalParams);
    }
  }

  override error(message: unknown, ...optionalParams: unknown[]): void {
    // Both reject as well, and are told once, where the start is: `listen` about its port, Nest about a module that it can't build.
    const isListenError = typeof message === 'string' && message.startsWith('Error: listen ');
    if (!isListenError && optionalParams.at(-1) !== 'ExceptionHandler') {
      super.error(message, ...optionalParams);
    }
  }
}
