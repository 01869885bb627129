import { ApiProperty } from '@nestjs/swagger';
import { AnalysedReport } from './analysed.report.js';

export class ScoredWord {
  @ApiProperty({ type: String, example: 'kernel' })
  readonly word!: string;

  @ApiProperty({
    type: Number,
    description: 'Log-likelihood ratio (Dunning 1993): the higher, the less by chance.',
    example: 179.83,
  })
  readonly score!: number;

  @ApiProperty({ type: Number, description: 'Mails in which both were written.', example: 65 })
  readonly mails!: number;
}

export class KeywordReport extends AnalysedReport {
  @ApiProperty({ type: String, description: 'The term as it was looked for.', example: 'linux' })
  readonly term!: string;

  @ApiProperty({ type: Number, description: 'Mails that contain the term.', example: 457 })
  readonly mails!: number;

  @ApiProperty({ type: Number, description: 'How many of them are spam.', example: 17 })
  readonly spamMails!: number;

  @ApiProperty({ type: [ScoredWord], description: 'Words that go with the term, strongest first, at most 20.' })
  readonly keywords!: readonly ScoredWord[];
}
