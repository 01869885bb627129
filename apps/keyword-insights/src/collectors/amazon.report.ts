import { ApiProperty } from '@nestjs/swagger';
import { AnalysedReport } from '../insights/reports/analysed.report.js';

export class AmazonSender {
  @ApiProperty({ type: String, example: 'lockergnome.com' })
  readonly domain!: string;

  @ApiProperty({ type: Number, example: 3 })
  readonly mails!: number;
}

export class AmazonOffer {
  @ApiProperty({ type: String, example: 'Try our new Apparel store and get a 30 dollar thank you' })
  readonly subject!: string;

  @ApiProperty({ type: String, description: 'Domain of the sender.', example: 'amazon.com' })
  readonly domain!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  readonly sentAt!: string | null;

  @ApiProperty({ type: Number, description: 'Lowest price in the mail, in US dollars.', example: 30 })
  readonly priceUsd!: number;
}

export class AmazonReport extends AnalysedReport {
  @ApiProperty({ type: Number, description: 'Mails that name Amazon.', example: 33 })
  readonly mails!: number;

  @ApiProperty({ type: Number, description: 'How many of them are spam.', example: 4 })
  readonly spamMails!: number;

  @ApiProperty({ type: [AmazonSender], description: 'Who writes them, at most 10.' })
  readonly senders!: readonly AmazonSender[];

  @ApiProperty({ type: Number, description: 'Prices found in those that are no spam.', example: 20 })
  readonly pricesFound!: number;

  @ApiProperty({ type: Number, description: 'Their median, in US dollars.', example: 29.95 })
  readonly medianPriceUsd!: number;

  @ApiProperty({ type: [AmazonOffer], description: 'Newest first, at most 15, without spam.' })
  readonly offers!: readonly AmazonOffer[];
}
