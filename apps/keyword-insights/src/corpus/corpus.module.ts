import { Module } from '@nestjs/common';
import { CorpusService } from './corpus.service.js';

@Module({ providers: [CorpusService], exports: [CorpusService] })
export class CorpusModule {}
