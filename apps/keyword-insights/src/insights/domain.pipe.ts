import { BadRequestException, Injectable } from '@nestjs/common';
import type { PipeTransform } from '@nestjs/common';
import { normaliseDomain } from '../analysis/domain-figures.js';

/** The longest name that DNS knows. */
const LONGEST_DOMAIN = 253;

/** Gives one spelling to one domain before it becomes a cache key. A blank or impossibly long one: 400. */
@Injectable()
export class DomainPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    const domain = normaliseDomain(value);
    if (domain === '') {
      throw new BadRequestException('A domain is missing, for instance lockergnome.com.');
    }
    if (domain.length > LONGEST_DOMAIN) {
      throw new BadRequestException(
        `A domain has at most ${LONGEST_DOMAIN} characters, this one has ${domain.length}.`,
      );
    }
    return domain;
  }
}
