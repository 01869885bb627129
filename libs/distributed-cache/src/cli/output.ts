/** How a command ends. */
export const EXIT = {
  ok: 0,
  /** The answer is no: a check fails, an entry is missing, versions differ. */
  no: 1,
  usage: 2,
  /** Redis can't be reached, or does not let this program ask the processes. */
  unreachable: 3,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with a message for the person at the terminal. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    readonly exitCode: ExitCode,
    message: string,
  ) {
    super(message);
  }
}

/** A stream that text is written to. */
interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** The streams and the environment of the program. */
export interface Terminal {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
type Style = keyof typeof CODES;

/** A cell that is shown in a style. */
type Cell = string | number | { readonly text: string; readonly style: Style };

/** Writes what a command has found: for a person, or as JSON. */
export class Output {
  private readonly hasColor: boolean;
  private progressLength = 0;

  constructor(
    private readonly terminal: Terminal,
    /** Whether the command writes JSON, and nothing else, to the standard output. */
    readonly isJson: boolean,
  ) {
    this.hasColor = mayColor(terminal.stdout, terminal.env);
  }

  /** Whether the screen can be cleared. */
  get isScreen(): boolean {
    return !this.isJson && this.terminal.stdout.isTTY === true && this.terminal.env['TERM'] !== 'dumb';
  }

  /** Writes a line for a person; nothing in JSON mode. Texts from elsewhere go through {@link printable} first. */
  line(text = ''): void {
    if (!this.isJson) {
      this.terminal.stdout.write(`${text}\n`);
    }
  }

  /** Writes an object as one line of JSON; nothing for a person. Its texts are escaped: the output may be a terminal. */
  json(value: object): void {
    if (this.isJson) {
      this.terminal.stdout.write(`${JSON.stringify(value).replace(UNPRINTABLE, jsonEscape)}\n`);
    }
  }

  /** Writes lines to the standard error, in both modes. */
  note(text: string): void {
    this.clearProgress();
    this.terminal.stderr.write(`${printableLines(text)}\n`);
  }

  /** Shows how far long work has come, where a person looks at it; the next one replaces it. */
  progress(text: string): void {
    if (this.terminal.stderr.isTTY === true && this.terminal.env['TERM'] !== 'dumb') {
      this.terminal.stderr.write(`\r${text.padEnd(this.progressLength)}`);
      this.progressLength = text.length;
    }
  }

  clearProgress(): void {
    if (this.progressLength > 0) {
      this.terminal.stderr.write(`\r${' '.repeat(this.progressLength)}\r`);
      this.progressLength = 0;
    }
  }

  clearScreen(): void {
    if (this.isScreen) {
      this.terminal.stdout.write('\u001B[H\u001B[2J');
    }
  }

  style(style: Style, text: string): string {
    return this.hasColor ? `\u001B[${CODES[style]}m${text}\u001B[0m` : text;
  }

  /** Writes rows under a head. Numbers are aligned to the right. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const texts = rows.map((row) => row.map(textOf));
    const widths = head.map((name, column) => Math.max(name.length, ...texts.map((row) => row[column]?.length ?? 0)));
    const isNumeric = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'));
    const align = (text: string, column: number): string =>
      isNumeric[column] === true ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
    this.line(this.style('bold', head.map(align).join('  ').trimEnd()));
    for (const row of rows) {
      const cells = row.map((cell, column) => {
        const aligned = align(textOf(cell), column);
        return typeof cell === 'object' ? this.style(cell.style, aligned) : aligned;
      });
      this.line(cells.join('  ').trimEnd());
    }
  }
}

function textOf(cell: Cell): string {
  if (typeof cell === 'number') {
    return Number.isInteger(cell) ? String(cell) : cell.toFixed(1);
  }
  return printable(typeof cell === 'string' ? cell : cell.text);
}

/** Whether colours may be used: see https://no-color.org and https://force-color.org. */
function mayColor({ isTTY }: Stream, env: NodeJS.ProcessEnv): boolean {
  const forced = env['FORCE_COLOR'];
  if ((env['NO_COLOR'] ?? '') !== '') {
    return false;
  }
  if (forced !== undefined && forced !== '') {
    return forced !== '0' && forced !== 'false';
  }
  return isTTY === true && env['TERM'] !== 'dumb';
}

/** Characters that move the cursor, change colours or the direction of writing, or break a line. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A text from elsewhere, such as a key, without what a terminal could take for a command. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A text from elsewhere whose own line breaks stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** JSON escapes units of UTF-16. */
function jsonEscape(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

/** A number of bytes, such as `1.5 MB`. */
export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 1024 ** power;
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${UNITS[power]}`;
}

/** A duration, such as `350 ms`, `4.2 s`, `3 h`. */
export function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
  ] as const;
  const [size, unit] = units.find(([least]) => ms >= least) ?? [1, 'ms'];
  const scaled = ms / size;
  return `${scaled >= 10 || unit === 'ms' ? Math.round(scaled) : scaled.toFixed(1)} ${unit}`;
}
