/** Whether an answer is one that the document of the API declares. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { openApiDocument } from '../../src/console/openapi.ts';

type Answer = { readonly status: number; readonly type: string | null; readonly body: unknown };
type Content = Readonly<Record<string, { readonly schema: object }>>;
type Operation = { readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: Content }>> };

type ApiDocument = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, { readonly content: Content }>>; readonly schemas: object };
};

export const API_DOCUMENT: ApiDocument = openApiDocument() as unknown as ApiDocument;
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
const PATHS = Object.keys(API_DOCUMENT.paths).map((path) => ({
  path,
  pattern: new URLPattern({ pathname: path.replaceAll(/\{(\w+)\}/g, ':$1') }),
}));

/** @param path as it was asked. @throws Error that says what does not fit. */
export function checkDeclared(method: string, path: string, answer: Answer): void {
  const [pathname] = path.split('?');
  const found = PATHS.filter(({ pattern }) => pattern.test({ pathname: pathname! }));
  const paths = found.toSorted((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')));
  const name = method === 'HEAD' ? 'get' : method.toLowerCase();
  const operation = paths.map((one) => API_DOCUMENT.paths[one.path]![name]).find((one) => one !== undefined);
  if (operation === undefined) {
    if (![400, 404, 405, 421].includes(answer.status))
      throw new Error(`${method} ${path} is not in the document: ${answer.status}`);
    return;
  }
  const declared = operation.responses[answer.status];
  if (declared === undefined) throw new Error(`${method} ${path}: ${answer.status} is not declared`);
  const response = declared.$ref === undefined ? declared : API_DOCUMENT.components.responses[declared.$ref.split('/').at(-1)!]!;
  checkContent(`${method} ${path}: ${answer.status}`, response.content, answer, method === 'HEAD');
}

const validators = new Map<object, ValidateFunction>();

function validatorOf(schema: object): ValidateFunction {
  const known = validators.get(schema) ?? ajv.compile({ ...schema, components: API_DOCUMENT.components });
  validators.set(schema, known);
  return known;
}

function checkContent(what: string, content: Content | undefined, { type, body }: Answer, isHead: boolean): void {
  const media = type?.split(';')[0] ?? '';
  if (content === undefined) {
    if (body !== '') throw new Error(`${what} has a body: ${JSON.stringify(body)}`);
    return;
  }
  const declared = content[media];
  if (declared === undefined) throw new Error(`${what} is ${media}, not ${Object.keys(content).join(', ')}`);
  if (isHead || !media.endsWith('json')) return;
  const validate = validatorOf(declared.schema);
  if (!validate(body)) throw new Error(`${what} does not fit the document: ${ajv.errorsText(validate.errors)}`);
}
