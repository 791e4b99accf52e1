/**
 * All replies to clients in one table: code, status (RFC 3463) and text. A word in braces is filled in. The page deploy/replies.md is made
 * from the table. Only the list of EHLO, the greeting and the challenges of AUTH stand elsewhere.
 */
import { formatReply, Refusal, type Reply } from './reply.ts';

const REPLIES = {
  readyForTls: [220, '2.0.0', 'Ready to start TLS'],
  bye: [221, '2.0.0', 'Bye'],
  loggedIn: [235, '2.7.0', 'Authentication successful'],
  ok: [250, '2.0.0', 'Ok'],
  senderOk: [250, '2.1.0', 'Ok'],
  recipientOk: [250, '2.1.5', 'Ok'],
  queued: [250, '2.0.0', 'Ok: queued as {queueId}'],
  cannotVerify: [252, '2.5.0', 'Cannot VRFY, send mail to find out'],
  sendText: [354, '', 'End data with <CR><LF>.<CR><LF>'],

  shuttingDown: [421, '4.3.2', 'The server is shutting down, connect again'],
  loginTooSlow: [421, '4.4.2', 'The login took too long'],
  commandTooSlow: [421, '4.4.2', 'The command took too long'],
  textTooSlow: [421, '4.4.2', 'The message comes too slowly'],
  idleTooLong: [421, '4.4.2', 'Idle for too long'],
  tooManyErrors: [421, '4.7.0', 'Too many errors, good bye'],
  tooManyFailures: [421, '4.7.0', 'Too many failed logins, good bye'],
  tooManyIdle: [421, '4.7.0', 'Too many commands without a message'],
  notMail: [421, '4.7.0', 'This is a mail server, good bye'],
  tooEarly: [421, '4.7.0', 'You must wait for the greeting'],
  tlsTooEarly: [421, '4.7.0', 'TLS begins with STARTTLS on this port'],
  behindStartTls: [421, '4.7.0', 'Nothing may follow STARTTLS before TLS has begun'],
  tooManySessions: [421, '4.7.0', 'Too many connections'],
  tooManyHandshakes: [421, '4.7.0', 'Too many TLS handshakes without a login'],
  blocked: [421, '4.7.0', 'Too many failed logins from your address, try again later'],
  overLimit: [450, '4.7.1', 'Limit of {count} {kind} per {per} reached, try again in {wait}'],
  loginHeldFull: [
    450,
    '4.7.1',
    'Mail of {login} is held because of unusual behaviour, and there is no room for more: ask the administrator of this relay',
  ],
  loginRefusedForNow: [
    450,
    '4.7.1',
    'Mail of {login} is not taken because of unusual behaviour: ask the administrator of this relay',
  ],
  ourFault: [451, '4.3.0', 'Temporary failure, try again later'],
  storeUnreachable: [451, '4.3.0', 'The relay cannot store mail now, try again later'],
  rightsChanged: [451, '4.7.0', 'The settings of your login have just been changed, send the message again'],
  noRoom: [452, '4.3.1', 'The relay has no room for more mail, try again later'],
  diskTooFull: [452, '4.3.1', 'The relay has too little free disk space for new mail, try again later'],
  tooManyRecipients: [452, '4.5.3', 'Too many recipients, a message has at most {count} here'],
  loginUnavailable: [454, '4.7.0', 'Temporary authentication failure'],
  tooManyLogins: [454, '4.7.0', 'Too many logins at once, try again'],

  emptyLine: [500, '5.5.2', 'The line is empty'],
  bareNewline: [500, '5.5.2', 'A line ends with CR and LF, not with LF alone'],
  lineTooLong: [500, '5.5.6', 'The line is too long'],
  noRecipientPath: [501, '5.1.3', 'The form is RCPT TO:<address>'],
  lineNotUtf8: [501, '5.5.2', 'The line is not UTF-8'],
  lineWithControls: [501, '5.5.2', 'The line holds a control character'],
  recipientNotUtf8: [501, '5.1.3', 'The line is not UTF-8'],
  recipientWithControls: [501, '5.1.3', 'The line holds a control character'],
  senderNotUtf8: [501, '5.1.7', 'The line is not UTF-8'],
  senderWithControls: [501, '5.1.7', 'The line holds a control character'],
  senderSyntax: [501, '5.1.7', 'This is no valid sender address'],
  malformedResponse: [501, '5.5.2', 'This is not base64 of what the mechanism asks for'],
  noArgument: [501, '5.5.4', '{verb} takes no argument'],
  noMechanism: [501, '5.5.4', 'AUTH needs a mechanism: PLAIN or LOGIN'],
  noClientName: [501, '5.5.4', 'Say who you are: EHLO your.host.name'],
  clientNameTooLong: [501, '5.5.4', 'A host name has at most {octets} octets'],
  noSenderPath: [501, '5.5.4', 'The form is MAIL FROM:<address>'],
  badSize: [501, '5.5.4', 'SIZE takes a number of octets'],
  badBody: [501, '5.5.4', 'BODY is 7BIT or 8BITMIME'],
  badSmtpUtf8: [501, '5.5.4', 'SMTPUTF8 takes no value'],
  badRequireTls: [501, '5.5.4', 'REQUIRETLS takes no value'],
  badRet: [501, '5.5.4', 'RET is FULL or HDRS'],
  badEnvid: [501, '5.5.4', 'ENVID is not xtext'],
  badNotify: [501, '5.5.4', 'NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY'],
  badOrcpt: [501, '5.5.4', 'ORCPT is addr-type;address'],
  badOrcptAddress: [501, '5.5.4', 'The address of ORCPT is not xtext'],
  badParameter: [501, '5.5.4', 'Parameters are KEYWORD or KEYWORD=value'],
  parameterTwice: [501, '5.5.4', '{parameter} is given twice'],
  loginCancelled: [501, '5.7.0', 'Authentication cancelled'],
  unknownCommand: [502, '5.5.1', 'This command is not offered here'],
  sayHello: [503, '5.5.1', 'Say EHLO first'],
  tlsActive: [503, '5.5.1', 'TLS is active already'],
  alreadyLoggedIn: [503, '5.5.1', 'You are logged in already'],
  loginInTransaction: [503, '5.5.1', 'AUTH is not allowed within a transaction'],
  transactionOpen: [503, '5.5.1', 'A transaction is open already, send RSET to begin anew'],
  mailFirst: [503, '5.5.1', 'Send MAIL first'],
  recipientFirst: [503, '5.5.1', 'Send MAIL and RCPT first'],
  unknownMechanism: [504, '5.5.4', 'This mechanism is not offered here, use PLAIN or LOGIN'],
  loginRequired: [530, '5.7.0', 'Authentication required'],
  loginAndTlsRequired: [530, '5.7.0', 'Authentication required: issue STARTTLS first'],
  loginEnded: [530, '5.7.0', 'Your login has been changed, disabled or removed since: log in again'],
  wrongLogin: [535, '5.7.8', 'User name or password is wrong'],
  disabledLogin: [535, '5.7.8', 'This login is disabled'],
  expiredLogin: [535, '5.7.8', 'This login has expired'],
  foreignLogin: [535, '5.7.8', 'This login may not act for another one'],
  encryptionRequired: [538, '5.7.11', 'Encryption required: issue STARTTLS first'],
  recipientNoDomain: [550, '5.1.1', 'The address needs a domain: nobody has a mailbox on this relay'],
  noOperator: [550, '5.1.1', 'Mail for <postmaster> goes to the operator of this relay, and no address is set for one'],
  recipientLiteral: [550, '5.1.2', 'Mail to an address literal is not relayed, use a domain name'],
  recipientDotless: [550, '5.1.2', 'Mail to a host name without a domain is not relayed'],
  noHeader: [550, '5.6.0', 'The message has no header section: it must begin with fields like From and Date'],
  brokenHeader: [550, '5.6.0', 'Line {line} of the header is not a header field'],
  noFrom: [550, '5.6.0', 'The header has no From field'],
  noSender: [550, '5.6.0', 'The From field has several addresses, and there is no Sender field'],
  severalSenders: [550, '5.6.0', 'The Sender field holds several addresses, one is allowed'],
  severalFields: [550, '5.6.0', 'The header has several {field} fields, one is allowed'],
  authorSyntax: [550, '5.6.0', 'The {field} field holds no valid address'],
  authorNotClosed: [550, '5.6.0', 'The {field} field holds no valid address: a quote, bracket or parenthesis is not closed'],
  authorComma: [550, '5.6.0', 'The {field} field holds no valid address: a name with a comma must stand in quotes'],
  authorColon: [
    550,
    '5.6.0',
    'The {field} field has a colon, as a group of addresses has, and groups are not allowed here: a name with a colon must stand in quotes',
  ],
  authorRoute: [
    550,
    '5.6.0',
    'The {field} field has a route before its address, which is not allowed here: write <user@example.org>',
  ],
  authorAtSign: [
    550,
    '5.6.0',
    'The {field} field has an @ that does not belong to its address: a name with an @ must stand in quotes, a user name must have none',
  ],
  authorParenthesis: [
    550,
    '5.6.0',
    'The {field} field has a closing parenthesis or bracket without an opening one: such a name must stand in quotes',
  ],
  authorBrackets: [
    550,
    '5.6.0',
    'The {field} field has a quote, comma, colon or the like in square brackets: such a name must stand in quotes',
  ],
  authorEncoded: [
    550,
    '5.6.0',
    'The {field} field has an encoded word in its address: only the name before the address may be encoded',
  ],
  authorLookAlike: [
    550,
    '5.6.0',
    'The {field} field has a domain with characters that stand for others, such as a dot or letter of full width: write the plain ones',
  ],
  nul: [550, '5.6.11', 'A NUL character is not allowed in mail'],
  crInHeader: [550, '5.6.11', 'A CR without LF is not allowed in the header'],
  bareNewlines: [550, '5.6.11', 'Lines must end with CRLF; this message has a bare CR or LF'],
  bareLoneDot: [550, '5.6.11', 'A line with a lone dot between bare CR or LF is not allowed in mail'],
  loneDot: [550, '5.6.11', 'A dot alone on a line that does not end in CRLF could be taken for the end of the message'],
  foreignFrom: [550, '5.7.1', 'The login {login} may not send mail From: {address}'],
  foreignSender: [550, '5.7.1', 'The login {login} may not send mail with Sender: {address}'],
  noKey: [550, '5.7.20', 'No DKIM key for {domain}: this server sends only mail that it can sign'],
  notAligned: [550, '5.7.26', 'Receivers would refuse this mail From {domain}, by the DMARC record of {at}: {policy}\n{help}'],
  headerTooLarge: [552, '5.3.4', 'The header is larger than {octets} bytes'],
  contentTooLarge: [552, '5.3.4', 'The message is larger than {octets} bytes'],
  messageTooLarge: [552, '5.3.4', 'A message has at most {octets} octets here'],
  recipientSyntax: [553, '5.1.3', 'This is no valid address'],
  senderLiteral: [553, '5.1.7', 'A sender needs a domain name: no report would reach an address literal'],
  senderNoDomain: [553, '5.1.7', 'The sender address needs a domain'],
  senderDotless: [553, '5.1.7', 'The sender address needs a full domain name: no report would reach it'],
  needsSmtpUtf8: [553, '5.6.7', 'An address that is not ASCII needs SMTPUTF8 on MAIL'],
  loginRefused: [550, '5.7.1', 'Mail of {login} is refused because of unusual behaviour: ask the administrator of this relay'],
  foreignReversePath: [553, '5.7.1', 'The login {login} may not send as <{address}>'],
  noRecipients: [554, '5.5.1', 'No valid recipients'],
  mailLoop: [554, '5.4.6', 'Mail loop: the header has {count} Received fields, {most} are allowed'],
  passedTwice: [554, '5.4.6', 'Mail loop: this message has passed {hostname} twice already'],
  noBinary: [555, '5.5.4', 'BODY=BINARYMIME is not offered here'],
  unknownParameter: [555, '5.5.4', 'The parameter {parameter} is not offered here'],
} as const satisfies Readonly<Record<string, readonly [code: number, status: string, text: string]>>;

type Table = typeof REPLIES;
export type ReplyName = keyof Table;
/** The words in braces. */
type Holes<Text extends string> = Text extends `${string}{${infer Hole}}${infer Rest}` ? Hole | Holes<Rest> : never;
type Values<N extends ReplyName> = { readonly [Hole in Holes<Table[N][2]>]: string | number };
type Arguments<N extends ReplyName> = Holes<Table[N][2]> extends never ? [values?: undefined] : [values: Values<N>];

export function replyOf<N extends ReplyName>(name: N, ...[values]: Arguments<N>): Reply {
  const [code, status, text] = REPLIES[name];
  const filled = values === undefined ? text : fill(text, values as Readonly<Record<string, string | number>>);
  return { code, status, text: filled };
}

export function refusal<N extends ReplyName>(name: N, ...values: Arguments<N>): Refusal {
  return refusalWith(replyOf(name, ...values));
}

/** A refusal of the table whose reply comes from another thread. */
export function refusalWith({ code, status, text }: Reply): Refusal {
  return new Refusal(code, status, text);
}

/** A reply of the table as it stands on the wire. */
export function replyText<N extends ReplyName>(name: N, ...values: Arguments<N>): string {
  return formatReply(replyOf(name, ...values));
}

/** A refusal as it stands on the wire. What it quotes of the client is sent in ASCII: RFC 6531 §3.7.4.1 allows no UTF-8 here. */
export function refusalText({ code, status, text }: Reply): string {
  return formatReply({ code, status, text: text.replace(/[^\x20-\x7e\n]/g, '?') });
}

const fill = (text: string, values: Readonly<Record<string, string | number>>) =>
  text.replace(/\{(\w+)\}/g, (_, hole: string) => String(values[hole]));

/** The page deploy/replies.md. */
export function renderRepliesReference(): string {
  const rows = Object.values<readonly [number, string, string]>(REPLIES)
    .map(
      ([code, status, text]) =>
        `| ${code} | ${status} | ${text
          .replace(/\{(\w+)\}/g, '*$1*')
          .replace(/[<>]/g, '\\$&')
          .replace('\n', ' ')} |`,
    )
    .sort();
  return `# What clients are told

Made from \`src/smtp/replies.ts\` by \`npm run reference\`. Words in italics are filled in. 4xx: try again later; 5xx: it will not do without a
change. Beside these there are the greeting, the list after EHLO and the challenges of AUTH.

| code | status | text |
| --- | --- | --- |
${rows.join('\n')}
`;
}
