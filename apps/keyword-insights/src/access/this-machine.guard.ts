import { ForbiddenException, Injectable } from '@nestjs/common';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';

const LOOPBACK_ADDRESS = /^(::ffff:)?127\.|^::1$/;
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host'];

/**
 * Lets only programs of this machine and pages of the demo itself pass. Three rules, each against one way in:
 *   - the connection comes from this machine, and through no proxy: no other machine;
 *   - `Host` names this machine: no foreign name that resolves to this machine (DNS rebinding);
 *   - `Origin`, where a browser sends it, is the address of the demo: no foreign page.
 */
@Injectable()
export class ThisMachineGuard implements CanActivate {
  /** @throws ForbiddenException that names the broken rule */
  canActivate(context: ExecutionContext): boolean {
    const broken = this.brokenRule(context.switchToHttp().getRequest<IncomingMessage>());
    if (broken !== undefined) {
      throw new ForbiddenException(broken);
    }
    return true;
  }

  protected brokenRule({ headers, socket }: IncomingMessage): string | undefined {
    const { host = '', origin } = headers;
    if (!LOOPBACK_ADDRESS.test(socket.remoteAddress ?? '') || PROXY_HEADERS.some((name) => name in headers)) {
      return 'Send the request from the machine of the demo, without a proxy.';
    }
    if (!LOOPBACK_HOST.test(host)) {
      return 'Send the request to localhost: the Host header names another host.';
    }
    return origin !== undefined && origin !== `http://${host}`
      ? 'Send the request from the page of the demo: the Origin header names another page.'
      : undefined;
  }
}
