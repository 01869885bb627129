import { BadRequestException, Injectable } from '@nestjs/common';
import type { PipeTransform } from '@nestjs/common';
import { foldText } from '../corpus/fold-text.js';

const LONGEST_TERM = 100;

/** Gives one spelling to one term before it becomes a cache key: ` Linux ` and `linux` share an entry. Blank or endless terms: 400. */
@Injectable()
export class TermPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    const term = foldText(value);
    if (!/[\p{L}\p{N}]/u.test(term)) {
      throw new BadRequestException('A term needs at least one letter or digit.');
    }
    if (term.length > LONGEST_TERM) {
      throw new BadRequestException(`A term may have ${LONGEST_TERM} characters, this one has ${term.length}.`);
    }
    return term;
  }
}
