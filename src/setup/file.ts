/** The first smarthost.yaml: the settings that must be chosen, and some others as comments. */

/** How the certificate authority checks the name. */
export type Challenge = 'http-01' | 'tls-alpn-01';

type FirstSettings = {
  readonly hostname: string;
  readonly email?: string | undefined;
  readonly acceptTerms: boolean;
  /** As written in the file: a relative path counts from the file's folder. */
  readonly dataDir: string;
  /** Empty: the system's. */
  readonly resolvers: readonly string[];
  readonly challenge?: Challenge | undefined;
  /** Where the console listens. Absent: on loopback alone. */
  readonly console?: readonly string[] | undefined;
  /** The provider that takes all mail, if mail cannot leave by port 25. */
  readonly upstream?: Upstream | undefined;
};

/** A mail server that mail is handed to with a login. `host` is `smtp.example.com:587`. */
export type Upstream = { readonly host: string; readonly user: string; readonly password: string };

/** The values are checked already, so single quotes are enough for each. */
export function configurationText(settings: FirstSettings): string {
  const { hostname, email, acceptTerms, dataDir, resolvers, challenge, console } = settings;
  return `# Configuration of the relay. Every setting with its default: deploy/configuration.md
# After a change: smarthost config check, then SIGHUP to the relay.

# EHLO, greeting, certificate, Message-ID and reports. Its A/AAAA and PTR records must fit each other.
hostname: ${hostname}

# Queue, credentials, keys and certificates.
dataDir: ${quoted(dataDir)}

# Who is told when something needs a person.
${email === undefined ? '# operator: admin@example.net' : `operator: ${quoted(email)}`}

tls:
  mode: acme                       # acme, files or self-signed
  acme:
    ${email === undefined ? '# email: admin@example.net' : `email: ${quoted(email)}`}
    acceptTerms: ${acceptTerms}            # the terms of the certificate authority (Let's Encrypt)
${challenge === 'tls-alpn-01' ? '    challenge: tls-alpn-01\n' : ''}  # mode: files
  # files: [{ certificate: fullchain.pem, key: privkey.pem }]

${console === undefined ? '' : `listen:\n  console: [${console.map(quoted).join(', ')}] # pages and API; outside loopback with TLS\n`}# listen:
#   submissions: ['[::]:465']      # implicit TLS
#   submission: ['[::]:587']       # STARTTLS
#   admin: ['127.0.0.1:8025']      # health and metrics

# Who is asked for MX, addresses and TLSA records. DANE needs one on this machine that validates: unbound, for example.
${resolvers.length === 0 ? '# dns: { servers: [127.0.0.1] }' : `dns: { servers: [${resolvers.map(quoted).join(', ')}] }`}

# limits: { messages: [1000/day], newRecipients: [200/day], over: refuse }

# Mail that takes another way than the MX says; the first that matches wins.
${routesText(settings.upstream)}
`;
}

function routesText(upstream: Upstream | undefined): string {
  if (upstream === undefined)
    return `# routes:
#   - { recipientDomain: example.com, hosts: ['smtp.example.com:587'], login: { user: relay, password: secret } }`;
  const { host, user, password } = upstream;
  return `routes:
  - { hosts: [${quoted(host)}], login: { user: ${quoted(user)}, password: ${quoted(password)} } }`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
