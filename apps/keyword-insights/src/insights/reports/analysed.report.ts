import { ApiProperty } from '@nestjs/swagger';

/** What every report says about its own making. A report from the cache keeps what it was made with. */
export class AnalysedReport {
  @ApiProperty({ type: String, format: 'date-time', description: 'When the mails were read for this report.' })
  readonly analysedAt!: string;

  @ApiProperty({ type: Number, description: 'How long that took, in milliseconds.', example: 312 })
  readonly analysisMs!: number;
}

/** @param startedAtMs by `performance.now()` */
export function analysisFacts(startedAtMs: number): Pick<AnalysedReport, 'analysedAt' | 'analysisMs'> {
  return { analysedAt: new Date().toISOString(), analysisMs: Math.round(performance.now() - startedAtMs) };
}

/** A point in time as JSON has it; null where there is none. */
export function isoOrNull(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString();
}
