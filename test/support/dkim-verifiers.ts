/** Two foreign verifiers for many messages at once: mailauth in this process, dkimpy in one Python process. */
import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { requirePeer, succeeds } from './peers.ts';

/** TXT records by name. */
export type Records = Readonly<Record<string, string>>;
/** `algorithm domain selector pass|fail|…` for each signature, from top to bottom. */
export type Verdicts = readonly string[];

/** Debian's own Python has Debian's modules, whatever else stands first in PATH. */
const PYTHON = ['/usr/bin/python3', 'python3'].find((python) => succeeds(python, ['-c', 'import dkim, nacl'])) ?? 'python3';

export const dkimpyPresent = (): boolean => requirePeer('python3-dkim', succeeds(PYTHON, ['-c', 'import dkim, nacl']));

export async function verifyByMailauth(message: Buffer, records: Records): Promise<Verdicts> {
  const resolver = async (name: string, type: string) => {
    const value = records[name.toLowerCase()];
    if (type !== 'TXT' || value === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    return [[value]];
  };
  const { results } = await dkimVerify(message, { resolver, minBitLength: 1024 });
  return results.map(({ algo, signingDomain, selector, status }) => `${algo} ${signingDomain} ${selector} ${status.result}`);
}

const DKIMPY = `
import sys, json, struct, dkim
records = json.loads(sys.argv[1])
def txt(name, timeout=5):
    value = records.get(name.decode().rstrip('.').lower())
    return None if value is None else value.encode()
data = sys.stdin.buffer.read()
at = 0
while at < len(data):
    (length,) = struct.unpack('>I', data[at:at + 4])
    message = data[at + 4:at + 4 + length]
    at += 4 + length
    verdicts = []
    try:
        count = len([1 for name, value in dkim.DKIM(message).headers if name.lower() == b'dkim-signature'])
        for i in range(count):
            one = dkim.DKIM(message)
            try: verdict = 'pass' if one.verify(i, dnsfunc=txt) else 'fail'
            except dkim.DKIMException as e: verdict = str(e)
            tags = one.signature_fields
            verdicts.append(' '.join([tags.get(b'a', b'?').decode(), tags.get(b'd', b'?').decode(), tags.get(b's', b'?').decode(), verdict]))
    except Exception as e:
        verdicts.append('unreadable: ' + str(e))
    print(json.dumps(verdicts))
`;

/** @returns the verdicts of each message, in the order given. */
export async function verifyAllByDkimpy(messages: readonly Buffer[], records: Records): Promise<readonly Verdicts[]> {
  const output = await runPython(DKIMPY, [JSON.stringify(records)], framed(messages));
  return linesOf(output).map((line) => JSON.parse(line) as string[]);
}

const SIGN = `
import sys, json, struct, base64, dkim
options = json.loads(sys.argv[1])
head, body = options['canonicalization'].encode().split(b'/')
data = sys.stdin.buffer.read()
at = 0
while at < len(data):
    (length,) = struct.unpack('>I', data[at:at + 4])
    message = data[at + 4:at + 4 + length]
    at += 4 + length
    field = dkim.sign(message, options['selector'].encode(), options['domain'].encode(), options['key'].encode(), canonicalize=(head, body))
    print(base64.b64encode(field).decode())
`;

export type ForeignSigning = {
  readonly domain: string;
  readonly selector: string;
  /** PKCS#8 PEM of an RSA key. */
  readonly key: string;
  readonly canonicalization: 'relaxed/relaxed' | 'relaxed/simple' | 'simple/relaxed' | 'simple/simple';
};

/** @returns the DKIM-Signature field with CRLF that dkimpy makes for each message. */
export async function signAllByDkimpy(messages: readonly Buffer[], options: ForeignSigning): Promise<readonly Buffer[]> {
  const pem = createPrivateKey(options.key).export({ type: 'pkcs1', format: 'pem' });
  const output = await runPython(SIGN, [JSON.stringify({ ...options, key: pem })], framed(messages));
  return linesOf(output).map((line) => Buffer.from(line, 'base64'));
}

/** The same by mailauth. */
export async function signByMailauth(
  message: Buffer,
  { domain, selector, key, canonicalization }: ForeignSigning,
): Promise<Buffer> {
  const who = { signingDomain: domain, selector, privateKey: key };
  // its types want the signer at the top, its code reads the list
  const options = { ...who, canonicalization, algorithm: 'rsa-sha256', signatureData: [who] };
  const { signatures, errors } = await dkimSign(message, options);
  if (errors.length > 0) throw new Error(`mailauth could not sign: ${JSON.stringify(errors)}`);
  return Buffer.from(signatures, 'latin1');
}

/** Each message with its length before it. */
function framed(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(message.length);
      return [length, message];
    }),
  );
}

const linesOf = (output: Buffer) => output.toString().trimEnd().split('\n');

async function runPython(script: string, args: readonly string[], input: Buffer): Promise<Buffer> {
  const child = spawn(PYTHON, ['-c', script, ...args], { stdio: ['pipe', 'pipe', 'inherit'], timeout: 120_000 });
  child.stdin.end(input);
  const [output, [code]] = await Promise.all([buffer(child.stdout), once(child, 'close')]);
  if (code !== 0) throw new Error(`Python ended with ${code}`);
  return output;
}
