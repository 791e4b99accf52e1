/** Checks what the machine must provide for a configuration: a writable data directory and matching certificates. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Problem } from './problems.ts';
import type { CertificateFiles, Config, DatabaseSettings } from './settings.ts';

type Add = (path: string, message: string, level?: Problem['level']) => void;

/** @param file the configuration file, which may hold secrets. @param now milliseconds since the epoch. */
export async function checkEnvironment(
  config: Config,
  options: { file?: string | undefined; now?: number } = {},
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const add: Add = (path, message, level = 'error') => problems.push({ path, message, level, source: options.file ?? '' });
  if (config.store === 'sqlite') await checkDataDir(config.dataDir, add);
  else await checkDatabase(config.store, add);
  if (config.tls.mode === 'files') {
    for (const [i, pair] of config.tls.files.entries())
      await checkPair(pair, { path: `tls.files[${i}]`, config, now: options.now ?? Date.now(), add });
  }
  if (config.tls.acme.ca !== undefined) await checkAuthorities(config.tls.acme.ca, 'tls.acme.ca', add);
  if (config.delivery.ca !== undefined) await checkAuthorities(config.delivery.ca, 'delivery.ca', add);
  if (options.file !== undefined) await checkSecrets(config, options.file, add);
  return problems;
}

async function checkDatabase({ passwordFile, ca }: DatabaseSettings, add: Add): Promise<void> {
  if (ca !== undefined) await checkAuthorities(ca, 'store.ca', add);
  if (passwordFile === undefined) return;
  const password = await readable(passwordFile, 'store.passwordFile', add);
  if (password?.toString().trim() === '') add('store.passwordFile', `${passwordFile} is empty`);
  const mode = (await stat(passwordFile).catch(() => undefined))?.mode ?? 0;
  if ((mode & 0o007) !== 0)
    add('store.passwordFile', `${passwordFile} can be read by every user: chmod 0640 ${passwordFile}`, 'warning');
}

/** The start makes a missing directory, so its nearest existing parent must allow that. */
async function checkDataDir(dataDir: string, add: Add): Promise<void> {
  const found = await stat(dataDir).catch(() => undefined);
  if (found !== undefined && !found.isDirectory()) return add('dataDir', `${dataDir} is not a directory`);
  let place = dataDir;
  while (found === undefined && place !== dirname(place) && !(await stat(place).catch(() => undefined))) place = dirname(place);
  try {
    await access(place, constants.W_OK | constants.X_OK);
  } catch (error) {
    const readOnly = (error as NodeJS.ErrnoException).code === 'EROFS';
    const why = readOnly ? 'lies on a file system that can only be read' : 'cannot be written by this user';
    add('dataDir', found === undefined ? `${dataDir} does not exist and cannot be made in ${place}` : `${dataDir} ${why}`);
  }
}

/** Checks each certificate of the file: an unreadable one makes TLS fail, or trusts fewer authorities than the operator wants. */
async function checkAuthorities(file: string, path: string, add: Add): Promise<void> {
  const text = (await readable(file, path, add))?.toString('latin1');
  if (text === undefined) return;
  const found =
    text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ?? [];
  if (found.length === 0) return add(path, `${file} holds no PEM certificate`);
  for (const [i, pem] of found.entries())
    attempt(
      () => new X509Certificate(pem),
      () => add(path, `${file}: its certificate number ${i + 1} cannot be read`),
    );
}

async function checkPair(
  { certificate, key }: CertificateFiles,
  at: { path: string; config: Config; now: number; add: Add },
): Promise<void> {
  const { path, config, now, add } = at;
  const chain = await readable(certificate, `${path}.certificate`, add);
  const secret = await readable(key, `${path}.key`, add);
  const leaf =
    chain &&
    attempt(
      () => new X509Certificate(chain),
      () => add(`${path}.certificate`, `${certificate} holds no PEM certificate`),
    );
  const privateKey =
    secret &&
    attempt(
      () => createPrivateKey(secret),
      () => add(`${path}.key`, `${key} holds no PEM private key without a passphrase`),
    );
  if (!leaf) return;
  if (privateKey && !leaf.checkPrivateKey(privateKey))
    add(`${path}.key`, `${key} does not belong to the certificate ${certificate}`);
  if (Date.parse(leaf.validTo) < now)
    add(`${path}.certificate`, `${certificate} ended on ${new Date(leaf.validTo).toISOString()}`, 'warning');
  for (const name of [config.hostname, ...config.tls.names]) {
    if (leaf.checkHost(name) === undefined)
      add(`${path}.certificate`, `${certificate} is not for ${name}: clients will refuse it`, 'warning');
  }
}

async function readable(file: string, path: string, add: Add): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    add(path, code === 'ENOENT' ? `${file} does not exist` : `${file} cannot be read (${code})`);
    return undefined;
  }
}

function attempt<T>(make: () => T, failed: () => void): T | undefined {
  try {
    return make();
  } catch {
    failed();
    return undefined;
  }
}

async function checkSecrets(config: Config, file: string, add: Add): Promise<void> {
  const withLogin = config.routes.findIndex((route) => route.login !== undefined);
  const fallback = config.delivery.fallback.findIndex(({ login }) => login !== undefined);
  const mode = (await stat(file).catch(() => undefined))?.mode ?? 0;
  if ((mode & 0o007) === 0) return;
  const isOpen = `is in a file that every user can read: chmod 0640 ${file}`;
  if (withLogin >= 0) add(`routes[${withLogin}].login`, isOpen, 'warning');
  if (fallback >= 0) add(`delivery.fallback[${fallback}].login`, isOpen, 'warning');
}
