/** Submits one message over TLS with AUTH, as a test's own client: the pieces of nodemailer that compose nothing. */
import SMTPConnection from 'nodemailer/lib/smtp-connection';

export type Submission = {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly message: string | Buffer;
  /** RFC 3461: ENVID, RET and NOTIFY. */
  readonly dsn?: { readonly envid?: string; readonly ret?: 'FULL' | 'HDRS'; readonly notify?: string };
};

/** Over implicit TLS, the certificate is not verified. @returns the reply to the final dot; rejects where there was none, or a refusal */
export function submit({ address, port, user, password, from, to, message, dsn }: Submission): Promise<string> {
  const connection = new SMTPConnection({ host: address, port, secure: true, tls: { rejectUnauthorized: false } });
  return new Promise<string>((resolve, reject) => {
    connection.once('error', reject);
    connection.once('end', () => reject(new Error('the connection ended before the reply')));
    connection.connect(() => {
      connection.login({ credentials: { user, pass: password } }, (failed) => {
        if (failed) return reject(failed);
        connection.send({ from, to: [...to], ...(dsn && { dsn }) }, message, (error, info) =>
          error ? reject(error) : resolve(info?.response ?? ''),
        );
      });
    });
  }).finally(() => connection.close());
}
