import { ConsoleLogger, Logger, type LogLevel } from '@nestjs/common';
import { onTestFinished } from 'vitest';

export interface LogLine {
  readonly level: LogLevel;
  readonly context: string;
  readonly message: string;
}

/** Records what Nest's own logger would print at these levels. */
export class RecordingLogger extends ConsoleLogger {
  readonly lines: LogLine[] = [];

  constructor(logLevels: LogLevel[] = ['error', 'warn', 'log', 'debug']) {
    super({ logLevels });
  }

  /** The messages of one context, in their order. */
  messagesOf(context: string, level?: LogLevel): string[] {
    return this.lines
      .filter((line) => line.context === context && (level === undefined || line.level === level))
      .map(({ message }) => message);
  }

  protected override printMessages(messages: unknown[], context = '', level: LogLevel = 'log'): void {
    this.lines.push(...messages.map((message) => ({ level, context, message: String(message) })));
  }
}

/** Records the output of Nest's `Logger` until the test ends. */
export function recordLogs(levels?: LogLevel[]): RecordingLogger {
  const logger = new RecordingLogger(levels);
  Logger.overrideLogger(logger);
  onTestFinished(() => Logger.overrideLogger(new RecordingLogger([])));
  return logger;
}
