import { ApiProperty } from '@nestjs/swagger';
import type { CacheMetricsWire } from 'nestjs-distributed-cache';

/** The counters of one namespace in this process, since it started. Describes what the library sends; the names are its own. */
export class CacheCountersResponse implements CacheMetricsWire {
  @ApiProperty({ type: String, example: 'keywords' })
  readonly namespace!: string;

  @ApiProperty({ type: Number, description: 'Lookups that a tier answered.', example: 41 })
  readonly hits!: number;

  @ApiProperty({ type: Number, description: 'Lookups that no tier answered.', example: 9 })
  readonly misses!: number;

  @ApiProperty({ type: Number, example: 9 })
  readonly sets!: number;

  @ApiProperty({ type: Number, example: 1 })
  readonly deletes!: number;
  @ApiProperty({ type: Number, example: 1 })
  readonly expires!: number;
  @ApiProperty({ type: Number, example: 1 })
  readonly tag_invalidations!: number;
  @ApiProperty({ type: Number, example: 1 })
  readonly clears!: number;

  @ApiProperty({ type: Number, description: 'Faults of a tier; no caller saw them.', example: 0 })
  readonly errors!: number;

  @ApiProperty({ type: Number, description: '0 to 100.', example: 82 })
  readonly hit_rate_percent!: number;

  @ApiProperty({ type: Number, description: 'Hits and misses.', example: 50 })
  readonly total_requests!: number;

  @ApiProperty({ type: Boolean, description: 'Whether Redis can be used at this moment.' })
  readonly redis_available!: boolean;

  @ApiProperty({ type: Boolean, description: 'Whether memory serves while Redis can not be used.' })
  readonly fallback_enabled!: boolean;

  @ApiProperty({ type: Number, description: "Hits in this process's memory.", example: 38 })
  readonly local_hits!: number;

  @ApiProperty({ type: Number, description: 'Hits in Redis.', example: 3 })
  readonly redis_hits!: number;

  @ApiProperty({
    type: Number,
    description: 'Hits past their time, served because nothing newer could be had.',
    example: 0,
  })
  readonly stale_served!: number;

  @ApiProperty({ type: Number, description: 'Answers that were worked out.', example: 9 })
  readonly loads!: number;

  @ApiProperty({ type: Number, description: 'How many of these failed.', example: 0 })
  readonly load_errors!: number;

  @ApiProperty({ type: Number, description: 'Calls that waited for another process to work it out.', example: 0 })
  readonly waits!: number;

  @ApiProperty({ type: Number, description: 'Answers not kept because something newer came first.', example: 0 })
  readonly leases_lost!: number;

  @ApiProperty({ type: Number, description: 'Operations not sent because the queue to Redis was full.', example: 0 })
  readonly overloads!: number;

  @ApiProperty({ type: Number, description: 'Tags forgotten because there were too many of them.', example: 0 })
  readonly tags_forgotten!: number;

  @ApiProperty({ type: Number, description: 'Answers found or made that are not as they should be.', example: 0 })
  readonly schema_mismatches!: number;
}
