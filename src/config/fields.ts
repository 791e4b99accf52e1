/** The fields of settings that name files, a login or a database. */
import * as type from './types.ts';

export const certificateFields = {
  certificate: { type: type.path, required: true, about: 'PEM with the full chain, leaf first.' },
  key: { type: type.path, required: true, about: 'PEM of its private key.' },
} as const;
export const loginFields = {
  user: { type: type.text, required: true, about: 'User name at the upstream.' },
  password: { type: type.secret, required: true, about: 'Its password. Protect the file from other users (mode 0640).' },
} as const;
export const databaseFields = {
  postgres: {
    type: type.listOf(type.hostAndPort),
    required: true,
    about: 'The servers of the cluster, with a port other than 5432 behind a colon. The one that is the primary is used.',
  },
  database: { type: type.text, about: 'The name of the database. Default `smarthost`.' },
  user: { type: type.text, about: 'The owner of the database. Default `smarthost`.' },
  passwordFile: { type: type.path, about: 'The file with the password of the user. Protect it from other users (mode 0640).' },
  tls: {
    type: type.oneOf('none', 'encrypt', 'verify'),
    about:
      'TLS to the database. `verify`, the default, wants a certificate for the host from a trusted authority; `encrypt` takes any; `none` is for a database on this machine.',
  },
  ca: { type: type.path, about: 'PEM of the authorities that `verify` trusts. Default: those of the system.' },
  durability: {
    type: type.oneOf('two', 'one'),
    about:
      'Where a message must be before the client gets its 250. `two`, the default: on the disks of the primary and of a synchronous standby; while none is named (`synchronous_standby_names`) no mail is accepted. `one`: on the disk of the primary.',
  },
  maxSize: {
    type: type.size,
    about:
      'With a larger database, new mail is refused for now with 452 4.3.1. Set it well below the disk: a full disk stops PostgreSQL, and tables seldom shrink. Default: no limit.',
  },
  node: {
    type: type.text,
    about:
      'The name of this relay among those that share the database: mail is tried again by the relay that tried it last. Default: the name of the machine. Set it where that name changes, as in containers.',
  },
} as const;
