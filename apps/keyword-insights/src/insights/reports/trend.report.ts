import { ApiProperty } from '@nestjs/swagger';
import { AnalysedReport } from './analysed.report.js';

export class TrendMonth {
  @ApiProperty({ type: String, description: 'Year and month, by UTC.', example: '2002-08' })
  readonly month!: string;

  @ApiProperty({ type: Number, description: 'Mails of the month that contain the term.', example: 216 })
  readonly mails!: number;

  @ApiProperty({ type: Number, description: 'All mails of the month.', example: 1678 })
  readonly allMails!: number;

  @ApiProperty({ type: Number, description: 'The first divided by the second.', example: 0.1287 })
  readonly share!: number;

  @ApiProperty({ type: Number, description: 'How often the term was written per million words.', example: 1420 })
  readonly perMillionWords!: number;
}

export class TrendReport extends AnalysedReport {
  @ApiProperty({ type: String, description: 'The term as it was looked for.', example: 'linux' })
  readonly term!: string;

  @ApiProperty({ type: Number, description: 'Mails that contain the term.', example: 457 })
  readonly mails!: number;

  @ApiProperty({
    type: Number,
    description: 'Those of them without a date that can be believed: in no month.',
    example: 0,
  })
  readonly undatedMails!: number;

  @ApiProperty({ type: [TrendMonth], description: 'Every month of which there are mails, in order.' })
  readonly months!: readonly TrendMonth[];
}
