import { fileURLToPath } from 'node:url';

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const pathOf = (name: string): string => fileURLToPath(new URL(`../certificates/${name}`, import.meta.url));
const pairOf = (name: string): CertificateFiles => ({ cert: pathOf(`${name}.pem`), key: pathOf(`${name}.key`) });

/**
 * Paths of certificates for 127.0.0.1 and localhost, valid from 2020 to 2119, and of their authority. Their private
 * keys are in the repository: they prove nothing.
 */
export const TEST_CERTIFICATES = { authority: pathOf('ca.pem'), first: pairOf('first'), second: pairOf('second') };
