import { ApiProperty } from '@nestjs/swagger';
import { AnalysedReport } from './analysed.report.js';
import { ScoredWord } from './keyword.report.js';

export class DomainReport extends AnalysedReport {
  @ApiProperty({ type: String, example: 'lockergnome.com' })
  readonly domain!: string;

  @ApiProperty({ type: Number, description: 'Mails sent from the domain and its subdomains.', example: 30 })
  readonly mails!: number;

  @ApiProperty({ type: Number, description: 'Share of spam among them, from 0 to 1.', example: 0 })
  readonly spamShare!: number;

  @ApiProperty({ type: Number, description: 'Different sender addresses.', example: 1 })
  readonly senders!: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'First mail; null where no date can be believed.',
  })
  readonly firstAt!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, description: 'Last mail.' })
  readonly lastAt!: string | null;

  @ApiProperty({ type: Number, description: 'Median length of the mails, in characters.', example: 10271 })
  readonly medianLength!: number;

  @ApiProperty({ type: Number, nullable: true, description: 'Hour of the day, UTC, with the most mails.', example: 4 })
  readonly busiestHourUtc!: number | null;

  @ApiProperty({ type: Number, description: 'Mails from elsewhere that write the name of the domain.', example: 1 })
  readonly mentionedElsewhere!: number;

  @ApiProperty({ type: [ScoredWord], description: 'Words by which its mails differ from all others, at most 10.' })
  readonly typicalWords!: readonly ScoredWord[];
}
