/** Lines to copy into the programs that most often send through a relay. The reader replaces PASSWORD by the one that was shown once. */

export type Settings = {
  readonly host: string;
  readonly ports: readonly { readonly port: number; readonly encryption: 'TLS' | 'STARTTLS' }[];
  readonly user: string | null;
  readonly senders: readonly string[];
};

/** One recipe per program. Its first line names the file that it belongs to. */
type Recipes = Readonly<Record<'postfix' | 'msmtp' | 'url' | 'laravel' | 'django' | 'try', string>>;

type Account = {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly user: string;
  readonly from: string;
};

/** TLS from the first byte is preferred: RFC 8314 §3.3. */
export function recipesFor(settings: Settings): Recipes {
  const { host, ports, user, senders } = settings;
  const { port, encryption } = ports.find((one) => one.encryption === 'TLS') ?? ports[0] ?? { port: 465, encryption: 'TLS' };
  const account: Account = { host, port, tls: encryption === 'TLS', user: user ?? '', from: senderOf(senders) };
  return {
    postfix: postfixRelayhost(settings),
    msmtp: msmtp(account, senders),
    url: url(account),
    laravel: laravel(account),
    django: django(account),
    try: swaks(account),
  };
}

/** An address that the credential may send as. */
function senderOf(senders: readonly string[]): string {
  const address = senders.find((rule) => rule.indexOf('@') > 0);
  if (address !== undefined) return address;
  const domain = senders.find((rule) => /^@[^.]/.test(rule));
  return domain === undefined ? 'SENDER@example.org' : `noreply${domain}`;
}

/** Both files need the same `[host]:port`, or Postfix does not find the password. `noplaintext` concerns only sessions without TLS. */
function postfixRelayhost({ host, ports, user }: Settings): string {
  const starttls = ports.find(({ encryption }) => encryption === 'STARTTLS');
  const port = starttls?.port ?? ports[0]?.port ?? 587;
  const wrapper = starttls === undefined ? ['smtp_tls_wrappermode = yes'] : [];
  return lines(
    '# Postfix, /etc/postfix/main.cf:',
    `relayhost = [${host}]:${port}`,
    'smtp_sasl_auth_enable = yes',
    'smtp_sasl_password_maps = texthash:/etc/postfix/sasl_passwd',
    'smtp_sasl_tls_security_options = noanonymous',
    'smtp_tls_security_level = secure',
    ...wrapper,
    'smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt',
    '# /etc/postfix/sasl_passwd, mode 0600:',
    `[${host}]:${port} ${user}:PASSWORD`,
  );
}

/** If a credential has one address only, msmtp puts it into all mail, because root@web1 would be refused. */
function msmtp({ host, port, tls, user, from }: Account, senders: readonly string[]): string {
  const alone = senders.length === 1 && senders[0] === from;
  return lines(
    '# msmtp, /etc/msmtprc, mode 0640, group msmtp:',
    'defaults',
    'tls on',
    'tls_trust_file /etc/ssl/certs/ca-certificates.crt',
    'account default',
    `host ${host}`,
    `port ${port}`,
    `tls_starttls ${tls ? 'off' : 'on'}`,
    'auth on',
    `user ${/[\s"#]/.test(user) ? `"${user}"` : user}`,
    'passwordeval cat /etc/msmtp.password',
    `from ${from}`,
    ...(alone ? ['allow_from_override off', 'set_from_header on'] : []),
  );
}

function url({ host, port, tls, user }: Account): string {
  return lines(
    '# Applications that take a URL (Symfony MAILER_DSN, nodemailer, Gitea, Mastodon):',
    `${tls ? 'smtps' : 'smtp'}://${encodeURIComponent(user)}:PASSWORD@${host}:${port}`,
  );
}

function laravel({ host, port, tls, user, from }: Account): string {
  return lines(
    '# Laravel, .env; other frameworks take the same values under other names:',
    'MAIL_MAILER=smtp',
    `MAIL_SCHEME=${tls ? 'smtps' : 'smtp'}`,
    `MAIL_HOST=${host}`,
    `MAIL_PORT=${port}`,
    `MAIL_USERNAME=${/^[\w@.+-]+$/.test(user) ? user : `"${user.replace(/["\\$]/g, '\\$&')}"`}`,
    'MAIL_PASSWORD="PASSWORD"',
    `MAIL_FROM_ADDRESS=${from}`,
  );
}

function django({ host, port, tls, user, from }: Account): string {
  return lines(
    '# Django, settings.py:',
    `EMAIL_HOST = ${JSON.stringify(host)}`,
    `EMAIL_PORT = ${port}`,
    `${tls ? 'EMAIL_USE_SSL' : 'EMAIL_USE_TLS'} = True`,
    `EMAIL_HOST_USER = ${JSON.stringify(user)}`,
    'EMAIL_HOST_PASSWORD = os.environ["EMAIL_HOST_PASSWORD"]',
    `DEFAULT_FROM_EMAIL = ${JSON.stringify(from)}`,
  );
}

/** swaks asks for the password, so that it does not get into the shell's history. */
function swaks({ host, port, tls, user, from }: Account): string {
  const quoted = (text: string) => (/^[\w@.+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
  return lines(
    '# Try it from any machine with swaks; it asks for the password:',
    `swaks --server ${host}:${port} ${tls ? '--tls-on-connect' : '--tls'} --auth PLAIN --auth-user ${quoted(user)} --from ${quoted(from)} --to you@example.com`,
  );
}

function lines(...given: readonly string[]): string {
  return given.join('\n');
}
