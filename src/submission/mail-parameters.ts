/** The parameters of MAIL and RCPT: RFC 1870, 3461, 4954 §5, 6152, 6531, 8689. */
import type { Envelope, EnvelopeRecipient, Notify } from '../smtp/envelope.ts';
import { refusal } from '../smtp/replies.ts';
import { decodeXtext, encodeUnicodeXtext } from '../smtp/xtext.ts';

export type MailParameters = Pick<Envelope, 'body' | 'smtpUtf8' | 'ret' | 'envid' | 'requireTls'> & { readonly size: number };
type RecipientParameters = Pick<EnvelopeRecipient, 'notify' | 'orcpt'>;

/** RFC 3461 §4.4. */
const MAX_ENVID = 100;

const NONE: RecipientParameters = {};

/** @param offersRequireTls REQUIRETLS is in our EHLO. @throws Refusal 501 5.5.4 for a bad value, 555 5.5.4 for a parameter that is not offered. */
export function parseMailParameters(text: string, offersRequireTls: boolean): MailParameters {
  const found: { -readonly [K in keyof MailParameters]: MailParameters[K] } = { body: '7BIT', smtpUtf8: false, size: 0 };
  if (text === '') return found;
  for (const [key, value] of split(text)) {
    switch (key) {
      case 'SIZE':
        if (!/^[0-9]{1,20}$/.test(value ?? '')) throw refusal('badSize');
        found.size = Number(value);
        break;
      case 'BODY':
        found.body = bodyType(value);
        break;
      case 'SMTPUTF8':
        if (value !== undefined) throw refusal('badSmtpUtf8');
        found.smtpUtf8 = true;
        break;
      case 'REQUIRETLS': // RFC 8689 §2
        if (!offersRequireTls) throw unknown(key);
        if (value !== undefined) throw refusal('badRequireTls');
        found.requireTls = true;
        break;
      case 'RET':
        found.ret = returned(value);
        break;
      case 'ENVID':
        if (value === undefined || value.length > MAX_ENVID || !decodeXtext(value)) throw refusal('badEnvid');
        found.envid = value;
        break;
      case 'AUTH': // the author as the client names it: RFC 4954 §5 wants it understood, and nothing here believes it
        break;
      default:
        throw unknown(key);
    }
  }
  return found;
}

/** @throws Refusal as `parseMailParameters`. */
export function parseRecipientParameters(text: string): RecipientParameters {
  if (text === '') return NONE;
  const found: { -readonly [K in keyof RecipientParameters]: RecipientParameters[K] } = {};
  for (const [key, value] of split(text)) {
    if (key === 'NOTIFY') found.notify = notifications(value);
    else if (key === 'ORCPT') found.orcpt = originalRecipient(value);
    else throw unknown(key);
  }
  return found;
}

/** Keywords in upper case, each once. A value may be missing. */
function split(text: string): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  for (const part of text.split(/ +/)) {
    const equals = part.indexOf('=');
    const keyword = equals === -1 ? part : part.slice(0, equals);
    if (!/^[A-Za-z0-9][A-Za-z0-9-]*$/.test(keyword)) throw refusal('badParameter');
    const key = keyword.toUpperCase();
    if (found.has(key)) throw refusal('parameterTwice', { parameter: key });
    found.set(key, equals === -1 ? undefined : part.slice(equals + 1));
  }
  return found;
}

function bodyType(value: string | undefined): '7BIT' | '8BITMIME' {
  const type = value?.toUpperCase();
  if (type === '7BIT' || type === '8BITMIME') return type;
  if (type === 'BINARYMIME') throw refusal('noBinary');
  throw refusal('badBody');
}

function returned(value: string | undefined): 'FULL' | 'HDRS' {
  const ret = value?.toUpperCase();
  if (ret === 'FULL' || ret === 'HDRS') return ret;
  throw refusal('badRet');
}

/** NEVER stands alone: RFC 3461 §4.1. */
function notifications(value: string | undefined): readonly Notify[] {
  const list = (value ?? '').toUpperCase().split(',');
  const known = list.every((one): one is Notify => /^(?:NEVER|SUCCESS|FAILURE|DELAY)$/.test(one));
  if (!known || new Set(list).size < list.length || (list.length > 1 && list.includes('NEVER'))) {
    throw refusal('badNotify');
  }
  return list as Notify[];
}

/**
 * `addr-type;xtext`. Under SMTPUTF8 the address may come in UTF-8, and is kept in the form that all servers read: RFC 6533 §3.
 * A value over the 500 octets of RFC 3461 §4.2 is kept for our own reports.
 */
function originalRecipient(value: string | undefined): string {
  const [type, encoded] = /^([A-Za-z0-9-]+);(.+)$/s.exec(value ?? '')?.slice(1) ?? [];
  if (type === undefined || encoded === undefined) throw refusal('badOrcpt');
  const ascii = type.toLowerCase() === 'utf-8' ? encoded.replace(/[^\x00-\x7f]+/gu, encodeUnicodeXtext) : encoded;
  if (!decodeXtext(ascii)) throw refusal('badOrcptAddress');
  return `${type};${ascii}`;
}

const unknown = (key: string) => refusal('unknownParameter', { parameter: key.slice(0, 40) });
