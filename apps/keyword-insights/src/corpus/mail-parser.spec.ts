import { describe, expect, it } from 'vitest';
import { parseMailDate, sentAtMsOf } from './mail-date.js';
import { parseMail } from './mail-parser.js';

/** As read from disk: one character per byte. */
function parse(...lines: string[]): ReturnType<typeof parseMail> {
  return parseMail(Buffer.from(lines.join('\n')).toString('latin1'), 'spam-1/00001', true);
}

describe('mail parser', () => {
  it('reads sender, date, subject and body, and no other header', () => {
    const mail = parse(
      'From bounce@list.test  Thu Aug 22 16:37:34 2002',
      'Received: from secretrelay.test',
      'From: "Ann, of Example" <Ann@Mail.Example.ORG>',
      'Date: Thu, 22 Aug 2002 09:33:07 -0600',
      'Subject: Hello',
      '\tthere',
      '',
      'First  line',
      'SECOND line',
    );
    expect(mail).toEqual({
      id: 'spam-1/00001',
      isSpam: true,
      sender: 'ann@mail.example.org',
      domain: 'mail.example.org',
      subject: 'Hello there',
      sentAtMs: Date.UTC(2002, 7, 22, 15, 33, 7),
      text: 'hello there first line second line',
      wordCount: 6,
      bodyLength: 'First line SECOND line'.length,
    });
  });

  it('survives a mail without headers, without body, and without anything', () => {
    expect(parse('', 'only a body').text).toBe('only a body');
    expect(parse('Subject: only headers').text).toBe('only headers');
    expect(parse('')).toMatchObject({ sender: '', domain: '', subject: '', sentAtMs: undefined, bodyLength: 0 });
  });

  it('decodes encoded words in a subject', () => {
    expect(parse('Subject: =?iso-8859-1?Q?Gr=FC=DFe_?= =?utf-8?B?YXVzIEvDtmxu?=', '', 'x').subject).toBe(
      'Grüße aus Köln',
    );
  });

  it('reads bytes without a charset as UTF-8 where they are, else as Windows-1252', () => {
    expect(parse('Subject: a', '', 'Köln').text).toContain('köln');
    expect(parseMail('Subject: a\n\nK\u00f6ln \u0080 5', 'x', false).text).toContain('köln € 5');
  });

  it('survives unknown charsets', () => {
    const raw = 'Content-Type: text/plain; charset="DEFAULT_CHARSET"\n\ncaf\u00e9';
    expect(parseMail(raw, 'x', false).text).toContain('café');
  });

  it('undoes quoted-printable and base64', () => {
    const quoted = parse('Content-Transfer-Encoding: quoted-printable', '', 'a soft=', ' break and 100=25');
    expect(quoted.text).toContain('a soft break and 100%');
    const encoded = parse('Content-Transfer-Encoding: base64', '', Buffer.from('plain again').toString('base64'));
    expect(encoded.text).toContain('plain again');
  });

  it('strips markup, scripts and comments, and joins words that comments split', () => {
    const html =
      '<html><style>p{}</style><script>var x = "<p>";</script><p>off<!-- x -->er&nbsp;&amp; <b>b</b>uy&#33;</p><p>now</p>';
    expect(parse('Content-Type: text/html', '', html).text.trim()).toBe('offer & buy! now');
  });

  it('takes one of two alternatives, and text parts only', () => {
    const mail = parse(
      'Content-Type: multipart/mixed; boundary="outer"',
      '',
      'for old programs',
      '--outer',
      'Content-Type: multipart/alternative; boundary=inner',
      '',
      '--inner',
      'Content-Type: text/plain',
      '',
      'said once',
      '--inner',
      'Content-Type: text/html',
      '',
      '<p>said once</p>',
      '--inner--',
      '--outer',
      'Content-Type: image/gif',
      'Content-Transfer-Encoding: base64',
      '',
      'R0lGODlh',
      '--outer--',
    );
    expect(mail.text.trim()).toBe('said once');
  });

  it('cuts signatures and list footers, but not what only looks like one', () => {
    expect(parse('', 'text', '-- ', 'Ann, of the list').text.trim()).toBe('text');
    const long = `${'word '.repeat(400)}end`;
    expect(parse('', 'text', '--', long).text.trim()).toContain('end');
  });
});

describe('mail dates', () => {
  it('reads the ways in which programs write them', () => {
    expect(parseMailDate('Thu, 22 Aug 2002 09:33:07 -0600')).toBe(Date.UTC(2002, 7, 22, 15, 33, 7));
    expect(parseMailDate('27 Jun 01 3:36:25 AM')).toBe(Date.UTC(2001, 5, 27, 3, 36, 25));
    expect(parseMailDate('Fri, 29 Jun 01 01:03 EST')).toBe(Date.UTC(2001, 5, 29, 6, 3));
    expect(parseMailDate('Wed, 07 Oct 2020 23:01:36 -1900')).toBe(Date.UTC(2020, 9, 7, 23, 1, 36));
    expect(parseMailDate('Thu, 22 Aug 0102 12:07:35 +0800')).toBe(Date.UTC(2002, 7, 22, 4, 7, 35));
    expect(parseMailDate('Not supplied')).toBeUndefined();
    expect(parseMailDate('99 Foo 2002 10:00')).toBeUndefined();
  });

  const headers = (date: string, received: string): Map<string, string[]> =>
    new Map([
      ['date', [date]],
      ['received', [`from a by b; ${received}`]],
    ]);

  it('believes the receiving server where the sender writes another year', () => {
    const receivedAt = 'Tue, 6 Aug 2002 10:00:00 +0000';
    const receivedAtMs = Date.UTC(2002, 7, 6, 10);
    expect(sentAtMsOf(headers('Tue, 6 Aug 2028 10:00:00 +0000', receivedAt))).toBe(receivedAtMs);
    expect(sentAtMsOf(headers('Thu, 1 Jan 1970 00:00:00 +0000', receivedAt))).toBe(receivedAtMs);
    expect(sentAtMsOf(headers('Sat, 6 Aug 1999 10:00:00 +0000', receivedAt))).toBe(receivedAtMs);
    expect(sentAtMsOf(headers('Tue, 6 Aug 2002 09:59:00 +0000', receivedAt))).toBe(receivedAtMs - 60_000);
  });

  it('gives no date to a mail in which none can be believed', () => {
    expect(sentAtMsOf(headers('Fri, 1 Jan 2038 00:00:00 +0000', 'nonsense'))).toBeUndefined();
    expect(sentAtMsOf(new Map())).toBeUndefined();
  });
});
