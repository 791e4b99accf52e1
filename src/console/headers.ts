/** The header fields of each answer of the console, pages and errors included. */
import { createHash } from 'node:crypto';

/**
 * No HSTS: it would bind every port of the host name. `same-origin` instead of `no-referrer`, because with that a browser may send
 * `Origin: null`.
 */
const FIXED = {
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'same-origin',
  'reporting-endpoints': 'csp="/api/csp-reports"',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** @param scripts the texts of inline scripts that may run: the import map of the pages. Nothing else inline ever runs. */
export function consoleHeaders(scripts: readonly string[] = []): Readonly<Record<string, string>> {
  const hashes = scripts.map((text) => ` 'sha256-${createHash('sha256').update(text).digest('base64')}'`);
  const policy = [
    "default-src 'none'",
    `script-src 'self'${hashes.join('')}`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    'report-uri /api/csp-reports',
    'report-to csp',
  ];
  return { ...FIXED, 'content-security-policy': policy.join('; ') };
}
