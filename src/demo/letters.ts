/** The messages of the demo, and the client that submits them: nodemailer, which shares no code with the relay's SMTP. */
import { createTransport } from 'nodemailer';

export type DemoLogin = {
  readonly user: string;
  readonly password: string;
  readonly ports: { readonly submissions: number; readonly submission: number };
};

type Letter = {
  readonly title: string;
  readonly port: 'submissions' | 'submission';
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html?: string;
  /** The text by which the arriving message is recognized. */
  readonly proof: (queueId: string) => string;
};

const received = (queueId: string) => `id ${queueId}`;

export const MESSAGES: readonly Letter[] = [
  {
    title: 'A plain message over 465, implicit TLS',
    port: 'submissions',
    to: ['anna@alpha.test'],
    subject: 'Hello over 465',
    text: 'This came over implicit TLS.\n',
    proof: received,
  },
  {
    title: 'Text and HTML, with a dot alone on a line and an umlaut, over 587 with STARTTLS',
    port: 'submission',
    to: ['bert@beta.test', 'berta@beta.test'],
    subject: 'Grüße über 587',
    text: 'A dot alone:\n.\nThe end, schöne Grüße.\n',
    html: '<p>The end, schöne Grüße.</p>',
    proof: received,
  },
  {
    title: 'A destination whose signed DNS names the key of its host (DANE)',
    port: 'submission',
    to: ['dora@delta.test'],
    subject: 'Only to the right host',
    text: 'No other host can read this.\n',
    proof: received,
  },
  {
    title: 'A destination that publishes an enforced policy (MTA-STS)',
    port: 'submission',
    to: ['gerd@gamma.test'],
    subject: 'Only over verified TLS',
    text: 'Not in clear, and not to a stranger.\n',
    proof: received,
  },
  {
    title: 'A mailbox that does not exist: the sender gets a signed report',
    port: 'submission',
    to: ['nobody@beta.test'],
    subject: 'Is anybody there?',
    text: 'Hello?\n',
    proof: () => 'report-type=delivery-status',
  },
];

/** @returns the reply to the final dot. */
export async function submit(letter: Omit<Letter, 'title' | 'proof'>, { user, password, ports }: DemoLogin): Promise<string> {
  const transport = createTransport({
    host: '127.0.0.1',
    port: ports[letter.port],
    secure: letter.port === 'submissions',
    requireTLS: true,
    tls: { rejectUnauthorized: false },
    auth: { user, pass: password },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const { to, subject, text, html } = letter;
  const { response } = await transport.sendMail({
    from: user,
    to: [...to],
    subject,
    text,
    ...(html === undefined ? {} : { html }),
  });
  transport.close();
  return response;
}
