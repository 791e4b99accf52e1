/** The first smarthost.yaml: the settings that must be chosen, and some others as comments. */

/** The input of `init`. Missing values are asked for, or have a default. */
export type InitAnswers = {
  readonly hostname?: string;
  readonly domain?: readonly string[];
  readonly email?: string;
  readonly acceptTerms?: boolean;
  readonly address?: readonly string[];
  /** The first user. */
  readonly user?: string;
  /** Addresses of resolvers; `system`: those of the system. */
  readonly resolver?: readonly string[];
};

type Answers = {
  readonly hostname: string;
  readonly email?: string;
  readonly acceptTerms: boolean;
  /** As written in the file: a relative path counts from the file's folder. */
  readonly dataDir: string;
  /** Empty: the system's. */
  readonly resolvers: readonly string[];
};

/** The values are checked already, so single quotes are enough for each. */
export function configurationText({ hostname, email, acceptTerms, dataDir, resolvers }: Answers): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
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
  # mode: files
  # files: [{ certificate: fullchain.pem, key: privkey.pem }]

# listen:
#   submissions: ['[::]:465']      # implicit TLS
#   submission: ['[::]:587']       # STARTTLS
#   admin: ['127.0.0.1:8025']      # health and metrics

# Who is asked for MX, addresses and TLSA records. DANE needs one on this machine that validates: unbound, for example.
${resolvers.length === 0 ? '# dns: { servers: [127.0.0.1] }' : `dns: { servers: [${resolvers.map(quoted).join(', ')}] }`}

# limits: { messages: [1000/day], newRecipients: [200/day], over: refuse }

# Mail that takes another way than the MX says; the first that matches wins.
# routes:
#   - { recipientDomain: example.com, hosts: ['smtp.example.com:587'], login: { user: relay, password: secret } }
`;
}
