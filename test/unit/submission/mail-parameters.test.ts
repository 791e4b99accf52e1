import { describe, expect, test } from 'vitest';
import { Refusal } from '../../../src/smtp/reply.ts';
import { parseMailParameters, parseRecipientParameters } from '../../../src/submission/mail-parameters.ts';

const codeOf = (parse: () => unknown): string => {
  try {
    parse();
  } catch (error) {
    if (error instanceof Refusal) return `${error.reply.code} ${error.reply.status}`;
    throw error;
  }
  return 'taken';
};

describe('MAIL', () => {
  test('takes what is offered, in any case', () => {
    expect(parseMailParameters('size=18019 Body=8bitmime smtputf8 ret=hdrs ENVID=a+2Bb AUTH=<>', false)).toEqual({
      size: 18019,
      body: '8BITMIME',
      smtpUtf8: true,
      ret: 'HDRS',
      envid: 'a+2Bb',
    });
    expect(parseMailParameters('', true)).toEqual({ size: 0, body: '7BIT', smtpUtf8: false });
  });

  test.each(['AUTH=<>', 'AUTH=anna@x.test', 'AUTH=', 'AUTH', 'AUTH=a=b+', 'auth=+zz', 'AUTH=<a@b>'])(
    '%s is understood and forgotten',
    (text) => {
      expect(codeOf(() => parseMailParameters(text, false))).toBe('taken');
    },
  );

  test('takes REQUIRETLS once and without a value, and only where it is offered', () => {
    expect(parseMailParameters('RequireTLS SIZE=5', true)).toEqual({ size: 5, body: '7BIT', smtpUtf8: false, requireTls: true });
    expect(codeOf(() => parseMailParameters('REQUIRETLS=yes', true))).toBe('501 5.5.4');
    expect(codeOf(() => parseMailParameters('REQUIRETLS=', true))).toBe('501 5.5.4');
    expect(codeOf(() => parseMailParameters('REQUIRETLS requiretls', true))).toBe('501 5.5.4');
    expect(codeOf(() => parseMailParameters('REQUIRETLS', false))).toBe('555 5.5.4');
  });

  test.each([
    ['FOO=BAR', '555 5.5.4'],
    ['NOTIFY=NEVER', '555 5.5.4'],
    ['REQUIRETLS', '555 5.5.4'],
    ['BODY=BINARYMIME', '555 5.5.4'],
    ['BODY=X', '501 5.5.4'],
    ['BODY', '501 5.5.4'],
    ['SIZE', '501 5.5.4'],
    ['SIZE=', '501 5.5.4'],
    ['SIZE=-1', '501 5.5.4'],
    ['SIZE=1e9', '501 5.5.4'],
    ['SIZE=123456789012345678901', '501 5.5.4'],
    ['SIZE=1 size=1', '501 5.5.4'],
    ['SMTPUTF8=yes', '501 5.5.4'],
    ['RET=X', '501 5.5.4'],
    ['ENVID=', '501 5.5.4'],
    ['ENVID=a+0D+0AX', '501 5.5.4'],
    ['ENVID=a+zz', '501 5.5.4'],
    [`ENVID=${'x'.repeat(101)}`, '501 5.5.4'],
    ['<ceo@x.test>', '501 5.5.4'],
    ['=x', '501 5.5.4'],
    ['__proto__=1', '501 5.5.4'],
  ])('%s is %s', (text, code) => {
    expect(codeOf(() => parseMailParameters(text, false))).toBe(code);
  });
});

describe('RCPT', () => {
  test('takes NOTIFY and ORCPT', () => {
    expect(parseRecipientParameters('notify=success,delay orcpt=rfc822;bob+2Btag@example.org')).toEqual({
      notify: ['SUCCESS', 'DELAY'],
      orcpt: 'rfc822;bob+2Btag@example.org',
    });
    expect(parseRecipientParameters('ORCPT=utf-8;jürgen@example.org')).toEqual({ orcpt: 'utf-8;j\\x{FC}rgen@example.org' });
  });

  test('takes the ORCPT of a long address', () => {
    const orcpt = `rfc822;IMCEAEX-_${'+3Do+3DEXAMPLE'.repeat(60)}@example.org`;
    expect(parseRecipientParameters(`ORCPT=${orcpt}`)).toEqual({ orcpt });
  });

  test.each([
    ['NOTIFY=NEVER,SUCCESS', '501 5.5.4'],
    ['NOTIFY=', '501 5.5.4'],
    ['NOTIFY', '501 5.5.4'],
    ['NOTIFY=X', '501 5.5.4'],
    ['NOTIFY=DELAY,DELAY', '501 5.5.4'],
    ['ORCPT=bob@example.org', '501 5.5.4'],
    ['ORCPT=rfc822;a+0D+0A', '501 5.5.4'],
    ['ORCPT=rfc822;', '501 5.5.4'],
    ['ORCPT=rfc822;jürgen@example.org', '501 5.5.4'],
    ['SIZE=1', '555 5.5.4'],
  ])('%s is %s', (text, code) => {
    expect(codeOf(() => parseRecipientParameters(text))).toBe(code);
  });
});
