import { Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { ThisMachineGuard } from '../access/this-machine.guard.js';

/** Every request to `/demo/redis` carries it, with any value. */
export const DEMO_HEADER = 'x-demo-request';

/**
 * Lets only programs of this machine and the page of the demo itself act on its Redis. Besides the rules of
 * {@link ThisMachineGuard}, the own header is there: a foreign page can't send it without asking the demo first (CORS),
 * and the demo never agrees.
 */
@Injectable()
export class OwnRedisGuard extends ThisMachineGuard {
  protected override brokenRule(request: IncomingMessage): string | undefined {
    const missing =
      DEMO_HEADER in request.headers ? undefined : `Add the header ${DEMO_HEADER}, for instance "${DEMO_HEADER}: 1".`;
    return super.brokenRule(request) ?? missing;
  }
}
