import { isAbsolute } from 'node:path';
import { Type } from 'typebox';
import { optional, variable, type Variable } from './config.ts';

/** The settings of TLS of the API. */
export const tlsVariables = {
  tlsCert: file(
    'BLINDFIT_TLS_CERT',
    'Certificate of the API, with those of intermediate authorities, in PEM; read again when it changes; ' +
      'unset: plain HTTP',
  ),
  tlsKey: file('BLINDFIT_TLS_KEY', 'Private key of that certificate, in PEM'),
} as const;

function file(env: string, description: string): Variable<string | undefined> {
  return optional(
    variable({
      env,
      schema: Type.String(),
      description,
      allowed: 'an absolute path; both or none of BLINDFIT_TLS_CERT and BLINDFIT_TLS_KEY',
      check: (path) => {
        if (!isAbsolute(path)) throw new Error(`${JSON.stringify(path)} is not an absolute path`);
      },
    }),
  );
}
